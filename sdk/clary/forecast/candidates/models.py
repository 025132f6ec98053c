"""Exponential smoothing, Theta, ARIMA, a decomposition and sporadic demand, each for one series and in two parts.

``fit`` gives a state of plain values, ``forecast`` applies a state to points without fitting. Hyndman et al. (2002)
for ETS, Fiorucci et al. (2016) for Theta, Box and Jenkins for ARIMA with conditional sums of squares, Bandara et al.
(2021) for MSTL, Croston (1972), Syntetos and Boylan (2005), Teunter et al. (2011) and Petropoulos and Kourentzes
(2015) for sporadic demand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

Array = npt.NDArray[Any]
Values = Mapping[str, Any]
_LEVEL = 80.0  # per cent between the bounds that a library gives; others follow from the normal distribution
_BOUND = float(ndtri(0.9))


class Model:
    """A model for series with these seasons, and quantiles at these levels."""

    fewest = 3  # points
    seasons_back, points_back = 20, 200
    regresses = False  # whether known features are taken away before it is fitted

    def __init__(self, seasons: Sequence[int], levels: Sequence[float] | Array) -> None:
        self.season, self.seasons, self.levels = seasons[0], tuple(seasons), np.array(levels)

    @property
    def reach(self) -> int:
        """How many points the model looks back: what lies before changes little and takes long."""
        return max(self.points_back, self.seasons_back * self.season)

    def fit(self, values: Array, found: Values | None) -> Values:
        """The state for these points, of the form ``found`` earlier where there is one."""
        raise NotImplementedError

    def forecast(self, state: Values, values: Array, horizon: int) -> Array:
        """The quantiles (H, Q)."""
        raise NotImplementedError

    def period(self, values: Array) -> int:
        """The season, or 1 where the points hold less than two of them."""
        return self.season if len(values) >= 2 * self.season + 2 else 1

    def spread(self, given: Mapping[str, Any]) -> Array:
        """The quantiles from a mean and the library's bounds."""
        mean = np.asarray(given["mean"], float)
        low = (mean - _column(given, "lo", "lower")) / _BOUND
        high = (_column(given, "hi", "upper") - mean) / _BOUND
        deviation = np.where(self.levels < 0.5, low[:, None], high[:, None])
        found: Array = mean[:, None] + ndtri(self.levels) * deviation
        return found


class Ets(Model):
    """Exponential smoothing: error and season additive or multiplicative, trend none or damped, by AICc."""

    def fit(self, values: Array, found: Values | None) -> Values:
        """The best form of the greedy search, or the form found, with its parameters."""
        period = self.period(values)
        if np.ptp(values) == 0:
            return {"constant": True}
        if found and "form" in found and found["period"] == period:
            return self._state(values, found["form"], period)
        level = ["ANN"] if period == 1 else ["ANA", *(["MNM"] if values.min() > 0 else [])]
        best = min((self._state(values, form, period) for form in level), key=_criterion)
        damped = best["form"][0] + "A" + best["form"][2] + "D"
        return min((best, self._state(values, damped, period)), key=_criterion)

    def forecast(self, state: Values, values: Array, horizon: int) -> Array:
        """The quantiles of the state's form, with its parameters, over these points."""
        if state.get("constant"):
            return _constant(values, horizon, self.levels)
        from statsforecast.ets import ets_f, forecast_ets

        form = {"m": state["period"], "components": _components(state["form"]), "par": np.array(state["par"])}
        model = ets_f(values, m=state["period"], model={**form, "fit": None, "n_params": len(state["par"])})
        return self.spread(forecast_ets(model, h=horizon, level=[_LEVEL]))

    def _state(self, values: Array, form: str, period: int) -> dict[str, Any]:
        from statsforecast.ets import ets_f

        model = ets_f(values, m=period, model=form[:3], damped=form.endswith("D"))
        par = [float(each) for each in model["par"]]
        return {"form": form, "period": period, "par": par, "aicc": float(model["aicc"])}


class Theta(Model):
    """The dynamic optimized Theta model, on points without their season."""

    fewest = 5

    def fit(self, values: Array, found: Values | None) -> Values:
        """The optimal level, weight and slope."""
        if np.ptp(values) == 0:
            return {"constant": True}
        from statsforecast.theta import auto_theta

        par = auto_theta(values, m=self.season, model="DOTM")["par"]
        return {name: float(par[name]) for name in ("initial_smoothed", "alpha", "theta")}

    def forecast(self, state: Values, values: Array, horizon: int) -> Array:
        """The quantiles of the model with the state's parameters."""
        if state.get("constant") or np.ptp(values) == 0:
            return _constant(values, horizon, self.levels)
        from statsforecast.theta import auto_theta, forecast_theta

        known = {name: state[name] for name in ("initial_smoothed", "alpha", "theta")}
        model = auto_theta(values, m=self.season, model="DOTM", **known)
        return self.spread(forecast_theta(model, h=horizon, level=[_LEVEL]))


class Arima(Model):
    """A few seasonal ARIMA models of low order, the best by AICc, fitted by conditional sums of squares.

    A full stepwise search takes a hundred times as long on each series and gains little.
    """

    fewest, regresses = 12, True
    orders = ((0, 1), (1, 1), (2, 1))

    def fit(self, values: Array, found: Values | None) -> Values:
        """The coefficients of the best order, or of the order found."""
        if np.ptp(values) == 0:
            return {"constant": True}
        period = self.period(values)
        if found and "order" in found and found["period"] == period:
            return self._state(values, found["order"], found["seasonal"], period)
        seasonal = (0, 1, 1) if period > 1 else (0, 0, 0)
        orders = [(p, 1, q) for p, q in self.orders]
        tried = [self._tried(values, order, seasonal, period) for order in orders]
        return min((each for each in tried if each), key=_criterion)

    def forecast(self, state: Values, values: Array, horizon: int) -> Array:
        """The quantiles of the model with the state's coefficients."""
        if state.get("constant") or np.ptp(values) == 0:
            return _constant(values, horizon, self.levels)
        from statsforecast.arima import forecast_arima

        model = self._model(values, state["order"], state["seasonal"], state["period"], state["coefficients"])
        return self.spread(forecast_arima(model, h=horizon, level=[_LEVEL]))

    def _tried(self, values: Array, order: Any, seasonal: Any, period: int) -> dict[str, Any] | None:
        try:
            return self._state(values, order, seasonal, period)
        except Exception:  # one order that does not converge is no reason to give up the others
            return None

    def _state(self, values: Array, order: Any, seasonal: Any, period: int) -> dict[str, Any]:
        model = self._model(values, order, seasonal, period, None)
        coefficients = {name: float(value) for name, value in model["coef"].items()}
        found = {"order": list(order), "seasonal": list(seasonal), "period": period, "coefficients": coefficients}
        # The library gives no likelihood for conditional sums of squares; all orders here are differenced alike.
        count, free = len(values) - period, len(coefficients) + 1
        penalty = 2 * free + 2 * free * (free + 1) / max(1, count - free - 1)
        return {**found, "aicc": count * float(np.log(max(model["sigma2"], 1e-300))) + penalty}

    def _model(self, values: Array, order: Any, seasonal: Any, period: int, fixed: Values | None) -> Any:
        from statsforecast.arima import Arima as fitted  # noqa: N813

        season = {"order": tuple(seasonal), "period": period}
        more = {"fixed": np.array(list(fixed.values())), "transform_pars": False} if fixed else {}
        # Conditional sums leave no state to forecast from; the filter runs over the points once where all is known.
        method = "ML" if fixed else "CSS"
        return fitted(values, order=tuple(order), seasonal=season, method=method, include_mean=False, **more)


class Mstl(Model):
    """Two seasons taken away by local regression, damped exponential smoothing of the rest, and the seasons again."""

    def __init__(self, seasons: Sequence[int], levels: Sequence[float] | Array) -> None:
        super().__init__(seasons, levels)
        self._latest: tuple[int, tuple[Array, dict[int, Array]]] | None = None

    @property
    def reach(self) -> int:
        """Five of the long seasons."""
        return 5 * self.seasons[1]

    def fit(self, values: Array, found: Values | None) -> Values:
        """The smoothing of what is left without the seasons."""
        if np.ptp(values) == 0:
            return {"constant": True}
        rest, _ = self._parts(values)
        inner = Ets((1,), self.levels)
        return dict(inner.fit(rest, found if found and "form" in found else None))

    def forecast(self, state: Values, values: Array, horizon: int) -> Array:
        """The quantiles of the rest, moved by the last of each season."""
        if state.get("constant") or np.ptp(values) == 0:
            return _constant(values, horizon, self.levels)
        rest, seasonal = self._parts(values)
        moved = sum(np.resize(part[-period:], horizon) for period, part in seasonal.items())
        inner = Ets((1,), self.levels).forecast(state, rest, horizon)
        found: Array = inner + np.asarray(moved)[:, None]
        return found

    def _parts(self, values: Array) -> tuple[Array, dict[int, Array]]:
        # A fit is followed by a forecast from the same points.
        if self._latest is not None and self._latest[0] == len(values):
            return self._latest[1]
        from statsforecast.mstl import mstl

        periods = [period for period in self.seasons[:2] if len(values) >= 2 * period + 2]
        table = mstl(values, period=periods)
        names = {period: "seasonal" if len(periods) == 1 else f"seasonal{period}" for period in periods}
        seasonal = {period: np.asarray(table[name], float) for period, name in names.items()}
        self._latest = len(values), (values - sum(seasonal.values()), seasonal)
        return self._latest[1]


class Intermittent(Model):
    """Sporadic demand: the mean of four estimates of the rate, and late points brought to it as the distribution."""

    seasons_back, points_back = 0, 400
    shape_back = 60

    def fit(self, values: Array, found: Values | None) -> Values:
        """Nothing is fitted beyond the points themselves."""
        return {"fitted": True}

    def forecast(self, state: Values, values: Array, horizon: int) -> Array:
        """The same quantiles at every step."""
        if not values.any():
            return np.zeros((horizon, len(self.levels)))
        from statsforecast.models import IMAPA, TSB, CrostonOptimized, CrostonSBA

        models = (CrostonOptimized(), CrostonSBA(), TSB(0.2, 0.2), IMAPA())
        rate = float(np.mean([model.forecast(values, 1)["mean"][0] for model in models]))
        late = values[-self.shape_back :]
        late = late if late.any() else values
        quantiles = np.quantile(late, self.levels) * max(rate, 0.0) / late.mean()
        return np.tile(quantiles, (horizon, 1))


MODELS: Mapping[str, type[Model]] = {
    "ets": Ets,
    "theta": Theta,
    "arima": Arima,
    "mstl": Mstl,
    "intermittent": Intermittent,
}


def load() -> None:
    """Import the libraries of all models, which takes seconds, before the first series is waited for."""
    import statsforecast.arima
    import statsforecast.ets
    import statsforecast.models
    import statsforecast.mstl
    import statsforecast.theta  # noqa: F401


def _components(form: str) -> str:
    return form[:3] + ("D" if form.endswith("D") else "N")


def _criterion(state: Values) -> float:
    return float(state["aicc"]) if np.isfinite(state["aicc"]) else np.inf


def _constant(values: Array, horizon: int, levels: Array) -> Array:
    return np.full((horizon, len(levels)), values[-1])


def _column(given: Mapping[str, Any], short: str, long: str) -> Array:
    """One bound of what a library answers: under ``lo-80.0``, or in a table under ``lower``."""
    for name in (f"{short}-{_LEVEL}", f"{short}-{int(_LEVEL)}"):
        if name in given:
            return np.asarray(given[name], float)
    return np.asarray(given[long], float).reshape(len(given["mean"]), -1)[:, 0]
