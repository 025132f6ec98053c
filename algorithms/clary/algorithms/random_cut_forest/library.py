"""How the loops over trees are compiled."""

from __future__ import annotations

from clary.toolkit.compilation import compiler

# Sums may be formed in any order, which lets the processor add several numbers at once. Rows hold no NaN.
compiled = compiler("reassoc", "contract", "nsz", "nnan")
