"""A class for each algorithm. Generated from the declarations by ``make generate``; not to be edited."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from clary.sdk.estimator import Options, TypedEstimator

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["KMeans"]


class KMeans(TypedEstimator):
    """Groups rows into k clusters in one streaming pass over data of any size.

    Rows in memory, files and addresses train it by ``fit``; the other keywords are those of ``Estimator``.

    feature_dim: Number of features in each row. Told by the data if not given. An integer at least 1.
    k: Number of clusters of the final model. An integer at least 1.
    epochs: Passes over the training data. An integer at least 1.
    eval_metrics: Metrics reported for the test channel: mean (msd) and sum (ssd) of squared distances. A JSON
        list of one or more of 'msd', 'ssd', each at most once.
    extra_center_factor: The streaming phase keeps k times this many centers and merges them to k at the end;
        'auto' is 10 for up to ten clusters, up to 100 for about 25, and again 10 from 250 on. An integer at least
        1 or 'auto'.
    half_life_time_size: Points after which an observation counts half in its center; 0 means no decay. An integer
        at least 0.
    init_method: How the starting centers are picked from the first batch. One of 'random', 'kmeans++'.
    local_lloyd_init_method: How each final Lloyd run over the streamed centers starts. One of 'random',
        'kmeans++'.
    local_lloyd_max_iter: Iteration limit of each final Lloyd run. An integer at least 1.
    local_lloyd_num_trials: Final Lloyd runs, of which the one with the lowest loss is kept; 'auto' is 10. An
        integer at least 1 or 'auto'.
    local_lloyd_tol: Relative change in loss at which a Lloyd run stops. A number at least 0 and at most 1.
    mini_batch_size: Rows per batch on each host. An integer at least 1.
    """

    algorithm: ClassVar[str] = "kmeans"

    def __init__(
        self,
        role: str | None = None,
        instance_count: int = 1,
        instance_type: str | None = None,
        k: int | None = None,
        *,
        feature_dim: int | None = None,
        epochs: int | None = 1,
        eval_metrics: Sequence[str] | None = ("msd",),
        extra_center_factor: int | Literal["auto"] | None = "auto",
        half_life_time_size: int | None = 0,
        init_method: Literal["random", "kmeans++"] | None = "random",
        local_lloyd_init_method: Literal["random", "kmeans++"] | None = "kmeans++",
        local_lloyd_max_iter: int | None = 300,
        local_lloyd_num_trials: int | Literal["auto"] | None = "auto",
        local_lloyd_tol: float | None = 0.0001,
        mini_batch_size: int | None = 5000,
        **options: Unpack[Options],
    ) -> None:
        given = {
            "k": k,
            "feature_dim": feature_dim,
            "epochs": epochs,
            "eval_metrics": eval_metrics,
            "extra_center_factor": extra_center_factor,
            "half_life_time_size": half_life_time_size,
            "init_method": init_method,
            "local_lloyd_init_method": local_lloyd_init_method,
            "local_lloyd_max_iter": local_lloyd_max_iter,
            "local_lloyd_num_trials": local_lloyd_num_trials,
            "local_lloyd_tol": local_lloyd_tol,
            "mini_batch_size": mini_batch_size,
        }
        super().__init__(role, instance_count, instance_type, given, options)
