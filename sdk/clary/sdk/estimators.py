"""A class for each algorithm. Generated from the declarations by ``make generate``; not to be edited."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from clary.sdk.estimator import Options, TypedEstimator

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = [
    "KNN",
    "LDA",
    "NTM",
    "PCA",
    "BlazingText",
    "DeepAR",
    "FactorizationMachines",
    "KMeans",
    "LinearLearner",
    "RandomCutForest",
    "XGBoost",
]


class BlazingText(TypedEstimator):
    """Learns vectors of words from plain text, or a fast classifier of text from labeled lines.

    Lists of dicts, files and addresses train it by ``fit``; the other keywords are those of ``Estimator``.

    mode: What is learned: word vectors by batch_skipgram, skipgram or cbow, or a classifier by supervised. One of
        'batch_skipgram', 'skipgram', 'cbow', 'supervised'.
    batch_size: With batch_skipgram, most words around a word that share its drawn negatives; 2 * window_size + 1
        lets the whole window share them. An integer at least 1. Default: 11.
    buckets: Number of rows that hashed n-grams share: those of characters with subwords, those of words with
        supervised. An integer at least 1. Default: 2000000.
    early_stopping: With supervised, whether to stop when the validation accuracy has not improved for patience
        epochs; needs a validation channel. True or False. Default: False.
    epochs: Passes over the training data, with early_stopping at most. An integer at least 1. Default: 5.
    evaluation: With the modes of word vectors, whether to compare them with human judgment on the
        WordSimilarity-353 sets after training. True or False. Default: True.
    learning_rate: Step size at the start; it falls to zero in a straight line over all epochs. A number above 0.
        Default: 0.05.
    max_char: With subwords, characters of the longest n-gram. An integer at least 1. Default: 6.
    min_char: With subwords, characters of the shortest n-gram. An integer at least 1. Default: 3.
    min_count: Words that occur fewer times than this are left out. An integer at least 0. Default: 5.
    min_epochs: With early_stopping, the epoch behind which the first validation comes. An integer at least 1.
        Default: 5.
    negative_samples: With the modes of word vectors, words drawn against each true one. An integer at least 1.
        Default: 5.
    patience: With early_stopping, epochs without a better validation accuracy until training stops. An integer at
        least 1. Default: 4.
    sampling_threshold: With the modes of word vectors, the share of all words above which a word is left out at
        random. A number above 0. Default: 0.0001.
    subwords: With skipgram and cbow, whether to learn vectors of character n-grams too, so that words that were
        never seen have vectors. True or False. Default: False.
    vector_dim: Length of the vectors of words, n-grams and texts. An integer at least 1. Default: 100.
    window_size: With the modes of word vectors, most words on each side that count as a word's context. An
        integer at least 1. Default: 5.
    word_ngrams: With supervised, words of the longest n-gram of words. An integer at least 1. Default: 2.
    """

    algorithm: ClassVar[str] = "blazingtext"

    def __init__(
        self,
        role: str | None = None,
        instance_count: int = 1,
        instance_type: str | None = None,
        mode: Literal["batch_skipgram", "skipgram", "cbow", "supervised"] | None = None,
        *,
        batch_size: int | None = None,
        buckets: int | None = None,
        early_stopping: bool | None = None,
        epochs: int | None = None,
        evaluation: bool | None = None,
        learning_rate: float | None = None,
        max_char: int | None = None,
        min_char: int | None = None,
        min_count: int | None = None,
        min_epochs: int | None = None,
        negative_samples: int | None = None,
        patience: int | None = None,
        sampling_threshold: float | None = None,
        subwords: bool | None = None,
        vector_dim: int | None = None,
        window_size: int | None = None,
        word_ngrams: int | None = None,
        **options: Unpack[Options],
    ) -> None:
        given = {
            "mode": mode,
            "batch_size": batch_size,
            "buckets": buckets,
            "early_stopping": early_stopping,
            "epochs": epochs,
            "evaluation": evaluation,
            "learning_rate": learning_rate,
            "max_char": max_char,
            "min_char": min_char,
            "min_count": min_count,
            "min_epochs": min_epochs,
            "negative_samples": negative_samples,
            "patience": patience,
            "sampling_threshold": sampling_threshold,
            "subwords": subwords,
            "vector_dim": vector_dim,
            "window_size": window_size,
            "word_ngrams": word_ngrams,
        }
        super().__init__(role, instance_count, instance_type, given, options)


class DeepAR(TypedEstimator):
    """Forecasts many related time series with one recurrent network, as samples, quantiles and means.

    Lists of dicts, files and addresses train it by ``fit``; the other keywords are those of ``Estimator``.

    context_length: Time points that the network sees before the forecast begins; lags reach further back, so
        about prediction_length is enough. An integer at least 1.
    epochs: Most passes over the training data. An integer at least 1.
    prediction_length: Time steps to forecast, fixed at training; above 400 is discouraged. An integer at least 1.
    time_freq: Time between two points of a series, which also chooses time features and lags: M, W, D, H or min
        behind a number that may be left out; as an extension also Q (quarters), Y (years) and S (seconds). A
        number, which may be left out, and one of M, W, D, H, min, Q, Y and S, such as '5min' or 'D'.
    cardinality: Number of values of each categorical feature; auto reads it from the data; ignore or the empty
        string leaves cat out. A JSON list of integers of at least 1, such as [3, 20], or 'ignore' or 'auto'.
        Default: auto.
    dropout_rate: Zoneout rate: the share of hidden units that keep their previous value at a step of training. A
        number at least 0 and at most 1. Default: 0.1.
    early_stopping_patience: Epochs without a lower training loss until training stops and the best model is
        taken; without it the last epoch counts. An integer at least 1.
    embedding_dimension: Length of the embedding of each categorical feature. An integer at least 1. Default: 10.
    learning_rate: Step size of the optimizer. A number above 0. Default: 0.001.
    likelihood: Noise of the targets: gaussian for real data, beta for targets between 0 and 1, negative-binomial
        for counts, student-T for bursty real data, deterministic-L1 for a point forecast. Capitals do not matter.
        One of 'gaussian', 'beta', 'negative-binomial', 'student-T', 'deterministic-L1'. Default: student-T.
    mini_batch_size: Training windows in a batch, those of all hosts together. An integer at least 1. Default:
        128.
    num_cells: Cells in each hidden layer. An integer at least 1. Default: 40.
    num_dynamic_feat: Number of dynamic features; auto reads it from the data; ignore or the empty string leaves
        dynamic_feat out. An integer at least 1 or 'auto' or 'ignore'. Default: auto.
    num_eval_samples: Sample paths for each series when the test channel is scored; the model is the same. An
        integer at least 1. Default: 100.
    num_layers: Hidden recurrent layers. An integer at least 1. Default: 2.
    test_quantiles: Quantile levels between 0 and 1 for the quantile loss on the test channel. A JSON list of
        numbers, each at least 0 and at most 1. Default: [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9].
    """

    algorithm: ClassVar[str] = "deepar"

    def __init__(
        self,
        role: str | None = None,
        instance_count: int = 1,
        instance_type: str | None = None,
        context_length: int | None = None,
        epochs: int | None = None,
        prediction_length: int | None = None,
        time_freq: str | None = None,
        *,
        cardinality: str | None = None,
        dropout_rate: float | None = None,
        early_stopping_patience: int | None = None,
        embedding_dimension: int | None = None,
        learning_rate: float | None = None,
        likelihood: Literal["gaussian", "beta", "negative-binomial", "student-T", "deterministic-L1"] | None = None,
        mini_batch_size: int | None = None,
        num_cells: int | None = None,
        num_dynamic_feat: int | str | None = None,
        num_eval_samples: int | None = None,
        num_layers: int | None = None,
        test_quantiles: Sequence[float] | None = None,
        **options: Unpack[Options],
    ) -> None:
        given = {
            "context_length": context_length,
            "epochs": epochs,
            "prediction_length": prediction_length,
            "time_freq": time_freq,
            "cardinality": cardinality,
            "dropout_rate": dropout_rate,
            "early_stopping_patience": early_stopping_patience,
            "embedding_dimension": embedding_dimension,
            "learning_rate": learning_rate,
            "likelihood": likelihood,
            "mini_batch_size": mini_batch_size,
            "num_cells": num_cells,
            "num_dynamic_feat": num_dynamic_feat,
            "num_eval_samples": num_eval_samples,
            "num_layers": num_layers,
            "test_quantiles": test_quantiles,
        }
        super().__init__(role, instance_count, instance_type, given, options)


class FactorizationMachines(TypedEstimator):
    """Learns a classifier or regressor with an effect of every pair of features, from sparse rows.

    Rows in memory, files and addresses train it by ``fit``; the other keywords are those of ``Estimator``.

    feature_dim: Number of features in each row. An integer at least 1. Told by the data if not given.
    num_factors: Length of the factor vector of each feature; 64 is a good first choice. An integer at least 1.
    predictor_type: Kind of label: binary_classifier for 0 and 1, trained on log loss; regressor for a number,
        trained on squared loss. One of 'binary_classifier', 'regressor'.
    bias_init_method: How the bias starts: uniform, normal or constant; each reads a setting of its own. One of
        'uniform', 'normal', 'constant'. Default: normal.
    bias_init_scale: Half the width of the uniform start of the bias; 0.01 where it is not set. A number at least
        0.
    bias_init_sigma: Standard deviation of the normal start of the bias. A number at least 0. Default: 0.01.
    bias_init_value: Constant start of the bias; 0 where it is not set. A number.
    bias_lr: Learning rate of the bias under Adam. A number at least 0. Default: 0.1.
    bias_wd: Weight decay of the bias. A number at least 0. Default: 0.01.
    clip_gradient: Gradients, rescaled and with their weight decay, are cut to this size in both directions; not
        set, or not above 0, they are not cut. A number.
    epochs: Passes over the training data. An integer at least 1. Default: 1.
    eps: What Adam adds to its denominator against a division by zero, above 0; 1e-8 where it is not set. A
        number.
    factors_init_method: How the factors start: uniform, normal or constant; each reads a setting of its own. One
        of 'uniform', 'normal', 'constant'. Default: normal.
    factors_init_scale: Half the width of the uniform start of the factors; 0.001 where it is not set. A number at
        least 0.
    factors_init_sigma: Standard deviation of the normal start of the factors. A number at least 0. Default:
        0.001.
    factors_init_value: Constant start of the factors; 0 where it is not set. Factors that start alike stay alike.
        A number.
    factors_lr: Learning rate of the factors under Adam. A number at least 0. Default: 0.0001.
    factors_wd: Weight decay of the factors. A number at least 0. Default: 1e-05.
    linear_lr: Learning rate of the linear terms under Adam. A number at least 0. Default: 0.001.
    linear_init_method: How the linear terms start: uniform, normal or constant; each reads a setting of its own.
        One of 'uniform', 'normal', 'constant'. Default: normal.
    linear_init_scale: Half the width of the uniform start of the linear terms; 0.01 where it is not set. A number
        at least 0.
    linear_init_sigma: Standard deviation of the normal start of the linear terms. A number at least 0. Default:
        0.01.
    linear_init_value: Constant start of the linear terms; 0 where it is not set. A number.
    linear_wd: Weight decay of the linear terms. A number at least 0. Default: 0.001.
    mini_batch_size: Rows per update on each host. An integer at least 1. Default: 1000.
    rescale_grad: What the gradient, summed over the rows of an update, is multiplied with; not set, it is 1 /
        rows. A number.
    """

    algorithm: ClassVar[str] = "factorization_machines"

    def __init__(
        self,
        role: str | None = None,
        instance_count: int = 1,
        instance_type: str | None = None,
        num_factors: int | None = None,
        predictor_type: Literal["binary_classifier", "regressor"] | None = None,
        *,
        feature_dim: int | None = None,
        bias_init_method: Literal["uniform", "normal", "constant"] | None = None,
        bias_init_scale: float | None = None,
        bias_init_sigma: float | None = None,
        bias_init_value: float | None = None,
        bias_lr: float | None = None,
        bias_wd: float | None = None,
        clip_gradient: float | None = None,
        epochs: int | None = None,
        eps: float | None = None,
        factors_init_method: Literal["uniform", "normal", "constant"] | None = None,
        factors_init_scale: float | None = None,
        factors_init_sigma: float | None = None,
        factors_init_value: float | None = None,
        factors_lr: float | None = None,
        factors_wd: float | None = None,
        linear_lr: float | None = None,
        linear_init_method: Literal["uniform", "normal", "constant"] | None = None,
        linear_init_scale: float | None = None,
        linear_init_sigma: float | None = None,
        linear_init_value: float | None = None,
        linear_wd: float | None = None,
        mini_batch_size: int | None = None,
        rescale_grad: float | None = None,
        **options: Unpack[Options],
    ) -> None:
        given = {
            "num_factors": num_factors,
            "predictor_type": predictor_type,
            "feature_dim": feature_dim,
            "bias_init_method": bias_init_method,
            "bias_init_scale": bias_init_scale,
            "bias_init_sigma": bias_init_sigma,
            "bias_init_value": bias_init_value,
            "bias_lr": bias_lr,
            "bias_wd": bias_wd,
            "clip_gradient": clip_gradient,
            "epochs": epochs,
            "eps": eps,
            "factors_init_method": factors_init_method,
            "factors_init_scale": factors_init_scale,
            "factors_init_sigma": factors_init_sigma,
            "factors_init_value": factors_init_value,
            "factors_lr": factors_lr,
            "factors_wd": factors_wd,
            "linear_lr": linear_lr,
            "linear_init_method": linear_init_method,
            "linear_init_scale": linear_init_scale,
            "linear_init_sigma": linear_init_sigma,
            "linear_init_value": linear_init_value,
            "linear_wd": linear_wd,
            "mini_batch_size": mini_batch_size,
            "rescale_grad": rescale_grad,
        }
        super().__init__(role, instance_count, instance_type, given, options)


class KMeans(TypedEstimator):
    """Groups rows into k clusters in one streaming pass over data of any size.

    Rows in memory, files and addresses train it by ``fit``; the other keywords are those of ``Estimator``.

    feature_dim: Number of features in each row. An integer at least 1. Told by the data if not given.
    k: Number of clusters of the final model. An integer at least 1.
    epochs: Passes over the training data. An integer at least 1. Default: 1.
    eval_metrics: Metrics reported for the test channel: mean (msd) and sum (ssd) of squared distances. A JSON
        list of one or more of 'msd', 'ssd', each at most once. Default: ["msd"].
    extra_center_factor: The streaming phase keeps k times this many centers and merges them to k at the end;
        'auto' is 10 for up to ten clusters, up to 100 for about 25, and again 10 from 250 on. An integer at least
        1 or 'auto'. Default: auto.
    half_life_time_size: Points after which an observation counts half in its center; 0 means no decay. An integer
        at least 0. Default: 0.
    init_method: How the starting centers are picked from the first batch. One of 'random', 'kmeans++'. Default:
        random.
    local_lloyd_init_method: How each final Lloyd run over the streamed centers starts. One of 'random',
        'kmeans++'. Default: kmeans++.
    local_lloyd_max_iter: Iteration limit of each final Lloyd run. An integer at least 1. Default: 300.
    local_lloyd_num_trials: Final Lloyd runs, of which the one with the lowest loss is kept; 'auto' is 10. An
        integer at least 1 or 'auto'. Default: auto.
    local_lloyd_tol: Relative change in loss at which a Lloyd run stops. A number at least 0 and at most 1.
        Default: 0.0001.
    mini_batch_size: Rows per batch on each host. An integer at least 1. Default: 5000.
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
        epochs: int | None = None,
        eval_metrics: Sequence[str] | None = None,
        extra_center_factor: int | Literal["auto"] | None = None,
        half_life_time_size: int | None = None,
        init_method: Literal["random", "kmeans++"] | None = None,
        local_lloyd_init_method: Literal["random", "kmeans++"] | None = None,
        local_lloyd_max_iter: int | None = None,
        local_lloyd_num_trials: int | Literal["auto"] | None = None,
        local_lloyd_tol: float | None = None,
        mini_batch_size: int | None = None,
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


class KNN(TypedEstimator):
    """Labels a row, or predicts a number for it, by the k most similar rows of a sample of the training data.

    Rows in memory, files and addresses train it by ``fit``; the other keywords are those of ``Estimator``.

    feature_dim: Number of features in each row. An integer at least 1. Told by the data if not given.
    k: Number of neighbors that vote or are averaged. An integer at least 1.
    sample_size: Number of training rows kept for the index, over all hosts together; all rows where there are
        fewer. An integer at least 1.
    predictor_type: What the neighbors' labels come to: the most frequent one (classifier), or their mean
        (regressor). One of 'classifier', 'regressor'.
    dimension_reduction_target: Number of dimensions after reduction; less than feature_dim. An integer at least
        1. Required when dimension_reduction_type is set.
    dimension_reduction_type: How rows are projected at random to fewer dimensions: by a matrix of +1 and -1
        (sign) or by the fast Johnson-Lindenstrauss transform (fjlt); no reduction where it is not set. One of
        'sign', 'fjlt'.
    faiss_index_ivf_nlists: Number of cells of faiss.IVFFlat and faiss.IVFPQ; 'auto' is the square root of the
        number of sampled rows. An integer at least 1 or 'auto'. Default: auto.
    faiss_index_pq_m: Number of parts into which faiss.IVFPQ cuts a row, a byte for each; the dimension is raised
        to a multiple of it. Where it is not set, the largest of its values up to half the dimension. One of 1, 2,
        3, 4, 8, 12, 16, 20, 24, 28, 32, 40, 48, 56, 64, 96.
    index_metric: What nearest means: by Euclidean distance, inner product, or cosine similarity; faiss.IVFPQ
        takes L2 alone. One of 'L2', 'INNER_PRODUCT', 'COSINE'. Default: L2.
    index_type: Exact search (faiss.Flat), cells of which a few are searched (faiss.IVFFlat), such cells with
        compressed rows (faiss.IVFPQ), or, as an extension, a graph of neighbors (faiss.HNSW). One of
        'faiss.Flat', 'faiss.IVFFlat', 'faiss.IVFPQ', 'faiss.HNSW'. Default: faiss.Flat.
    mini_batch_size: Rows read at a time on each host, and test rows searched at a time. An integer at least 1.
        Default: 5000.
    faiss_index_nprobe: Cells of faiss.IVFFlat and faiss.IVFPQ that a search visits: more find more true neighbors
        and take longer. The managed algorithm has it under the undocumented name _faiss_index_nprobe. An integer
        at least 1. Default: 5.
    faiss_index_hnsw_m: Extension: links of a row in the graph of faiss.HNSW; twice as many on its lowest level.
        An integer at least 2. Default: 32.
    faiss_index_hnsw_ef_construction: Extension: candidates that faiss.HNSW keeps in view while it links a row. An
        integer at least 1. Default: 80.
    faiss_index_hnsw_ef_search: Extension: candidates that faiss.HNSW keeps in view while it searches; k at least.
        An integer at least 1. Default: 64.
    """

    algorithm: ClassVar[str] = "knn"

    def __init__(
        self,
        role: str | None = None,
        instance_count: int = 1,
        instance_type: str | None = None,
        k: int | None = None,
        sample_size: int | None = None,
        predictor_type: Literal["classifier", "regressor"] | None = None,
        *,
        feature_dim: int | None = None,
        dimension_reduction_target: int | None = None,
        dimension_reduction_type: Literal["sign", "fjlt"] | None = None,
        faiss_index_ivf_nlists: int | Literal["auto"] | None = None,
        faiss_index_pq_m: int | None = None,
        index_metric: Literal["L2", "INNER_PRODUCT", "COSINE"] | None = None,
        index_type: Literal["faiss.Flat", "faiss.IVFFlat", "faiss.IVFPQ", "faiss.HNSW"] | None = None,
        mini_batch_size: int | None = None,
        faiss_index_nprobe: int | None = None,
        faiss_index_hnsw_m: int | None = None,
        faiss_index_hnsw_ef_construction: int | None = None,
        faiss_index_hnsw_ef_search: int | None = None,
        **options: Unpack[Options],
    ) -> None:
        given = {
            "k": k,
            "sample_size": sample_size,
            "predictor_type": predictor_type,
            "feature_dim": feature_dim,
            "dimension_reduction_target": dimension_reduction_target,
            "dimension_reduction_type": dimension_reduction_type,
            "faiss_index_ivf_nlists": faiss_index_ivf_nlists,
            "faiss_index_pq_m": faiss_index_pq_m,
            "index_metric": index_metric,
            "index_type": index_type,
            "mini_batch_size": mini_batch_size,
            "faiss_index_nprobe": faiss_index_nprobe,
            "faiss_index_hnsw_m": faiss_index_hnsw_m,
            "faiss_index_hnsw_ef_construction": faiss_index_hnsw_ef_construction,
            "faiss_index_hnsw_ef_search": faiss_index_hnsw_ef_search,
        }
        super().__init__(role, instance_count, instance_type, given, options)


class LDA(TypedEstimator):
    """Finds the topics that documents mix, from how often words stand together in them.

    Rows in memory, files and addresses train it by ``fit``; the other keywords are those of ``Estimator``.

    num_topics: Number of topics to return; at most feature_dim. An integer at least 1.
    feature_dim: Size of the vocabulary, which is the width of a document. An integer at least 1. Told by the data
        if not given.
    mini_batch_size: Number of documents in the training corpus. All documents are learned from at once, whatever
        it says. An integer at least 1. Told by the data if not given.
    alpha0: Sum of the Dirichlet prior over topics: small values make documents of few topics, values above 1 even
        mixtures. A number above 0. Default: 1.0.
    max_restarts: Starts of the tensor decomposition, of which the one with the smallest error counts. An integer
        at least 1. Default: 10.
    max_iterations: Iterations allowed in each restart. An integer at least 1. Default: 1000.
    tol: A restart ends where the error of an iteration differs from the last by less than this. A number above 0.
        Default: 1e-08.
    """

    algorithm: ClassVar[str] = "lda"

    def __init__(
        self,
        role: str | None = None,
        instance_count: int = 1,
        instance_type: str | None = None,
        num_topics: int | None = None,
        *,
        feature_dim: int | None = None,
        mini_batch_size: int | None = None,
        alpha0: float | None = None,
        max_restarts: int | None = None,
        max_iterations: int | None = None,
        tol: float | None = None,
        **options: Unpack[Options],
    ) -> None:
        given = {
            "num_topics": num_topics,
            "feature_dim": feature_dim,
            "mini_batch_size": mini_batch_size,
            "alpha0": alpha0,
            "max_restarts": max_restarts,
            "max_iterations": max_iterations,
            "tol": tol,
        }
        super().__init__(role, instance_count, instance_type, given, options)


class LinearLearner(TypedEstimator):
    """Learns a linear classifier or regressor, the best of many candidates that train in the same passes.

    Rows in memory, files and addresses train it by ``fit``; the other keywords are those of ``Estimator``.

    predictor_type: Kind of label: two classes, three or more classes, or a number. One of 'binary_classifier',
        'multiclass_classifier', 'regressor'.
    num_classes: Number of classes of a multiclass classifier, whose labels run from 0 to num_classes - 1; it has
        no effect on the other predictor types. An integer at least 3 and at most 1000000. Required when
        predictor_type is multiclass_classifier.
    accuracy_top_k: A row counts as right in the multiclass top-k accuracy if its class is among this many best
        scores. An integer at least 1 and at most 1000000. Default: 3.
    balance_multiclass_weights: Whether rows are weighted in a multiclass loss so that every class counts the
        same. True or False. Default: False.
    beta_1: Decay of adam's mean of gradients; 'auto' is 0.9. A number at least 0 and below 1 or 'auto'. Default:
        auto.
    beta_2: Decay of adam's mean of squared gradients; 'auto' is 0.999. A number at least 0 and below 1 or 'auto'.
        Default: auto.
    bias_lr_mult: The bias learns at learning_rate times this number; 'auto' is 10. A number above 0 or 'auto'.
        Default: auto.
    bias_wd_mult: The bias has an L2 weight of wd times this number; 'auto' is 0. A number at least 0 or 'auto'.
        Default: auto.
    binary_classifier_model_selection_criteria: Score by which a binary classifier's decision threshold and the
        best candidate are chosen; with loss_function the loss chooses the candidate, and accuracy the threshold.
        One of 'accuracy', 'f_beta', 'precision_at_target_recall', 'recall_at_target_precision', 'loss_function'.
        Default: accuracy.
    early_stopping_patience: Epochs without improvement after which training ends; a value above epochs turns this
        off. An integer at least 1. Default: 3.
    early_stopping_tolerance: Gain, as a share of the best value so far, below which an epoch is no improvement. A
        number above 0. Default: 0.001.
    epochs: Most passes over the training data. An integer at least 1. Default: 15.
    f_beta: Beta of the F-scores and of the selection criterion f_beta. A number above 0. Default: 1.0.
    feature_dim: Number of features in each row; 'auto' takes it from the data. An integer at least 1 or 'auto'.
        Default: auto.
    huber_delta: Error from which on the Huber loss is linear instead of quadratic. A number above 0. Default:
        1.0.
    init_bias: Starting value of the bias. A number. Default: 0.0.
    init_method: Distribution of the starting weights: uniform within init_scale of 0, or normal with init_sigma.
        One of 'uniform', 'normal'. Default: uniform.
    init_scale: Half the width of the uniform distribution of starting weights. A number above 0. Default: 0.07.
    init_sigma: Standard deviation of the normal distribution of starting weights. A number above 0. Default:
        0.01.
    l1: Strength of L1 regularization; 0 turns it off. A number at least 0 or 'auto'. Default: auto.
    learning_rate: Size of the optimizer's steps; 'auto' depends on the optimizer. A number above 0 or 'auto'.
        Default: auto.
    loss: Loss to minimize; it must fit the predictor type, and 'auto' is logistic, softmax_loss or squared_loss.
        One of 'logistic', 'hinge_loss', 'softmax_loss', 'squared_loss', 'absolute_loss',
        'eps_insensitive_squared_loss', 'eps_insensitive_absolute_loss', 'quantile_loss', 'huber_loss' or 'auto'.
        Default: auto.
    loss_insensitivity: Error that costs nothing in the eps_insensitive losses, in training and in metrics. A
        number above 0. Default: 0.01.
    lr_scheduler_factor: What the learning rate is multiplied with at each step of its schedule; 'auto' is 0.99. A
        number above 0 and below 1 or 'auto'. Default: auto.
    lr_scheduler_minimum_lr: Learning rate below which the schedule does not go; 'auto' is 1e-5. A number above 0
        or 'auto'. Default: auto.
    lr_scheduler_step: Updates between two steps of the schedule; 'auto' is 100. An integer at least 1 or 'auto'.
        Default: auto.
    margin: Margin of the hinge loss. A number above 0. Default: 1.0.
    mini_batch_size: Rows per update on each host. An integer at least 1. Default: 1000.
    momentum: Momentum of sgd; 'auto' is 0. A number at least 0 and below 1 or 'auto'. Default: auto.
    normalize_data: Whether features are scaled to standard deviation 1 before training; 'auto' is true. True,
        False or 'auto'. Default: True.
    normalize_label: Whether a regressor's labels are scaled to standard deviation 1; 'auto' is true. True, False
        or 'auto'. Default: auto.
    num_calibration_samples: Most validation rows that calibrate the decision threshold; 'auto' is 10,000,000. An
        integer at least 1 or 'auto'. Default: auto.
    num_models: Candidate models trained side by side, the first with the given settings; 'auto' is 32. An integer
        at least 1 or 'auto'. Default: auto.
    num_point_for_scaler: Rows from which means and standard deviations are estimated before training. An integer
        at least 1. Default: 10000.
    optimizer: Rule of the updates; 'auto' is adam. One of 'sgd', 'adam', 'rmsprop' or 'auto'. Default: auto.
    positive_example_weight_mult: Weight of a binary classifier's positive rows in the loss, where negative ones
        weigh 1; 'balanced' gives both classes the same weight, 'auto' tries several and keeps the best. A number
        above 0 or 'auto' or 'balanced'. Default: 1.0.
    quantile: Quantile of the label that the quantile loss learns to predict. A number above 0 and below 1.
        Default: 0.5.
    target_precision: Precision that the criterion recall_at_target_precision keeps. A number above 0 and below 1.
        Default: 0.8.
    target_recall: Recall that the criterion precision_at_target_recall keeps. A number above 0 and below 1.
        Default: 0.8.
    unbias_data: Whether features are shifted to mean 0 before training; 'auto' follows use_bias. True, False or
        'auto'. Default: auto.
    unbias_label: Whether a regressor's labels are shifted to mean 0 before training; 'auto' follows use_bias.
        True, False or 'auto'. Default: auto.
    use_bias: Whether the model has an intercept. True or False. Default: True.
    use_lr_scheduler: Whether the learning rate is lowered on a schedule. True or False. Default: True.
    wd: Strength of L2 regularization (weight decay); 0 turns it off. A number at least 0 or 'auto'. Default:
        auto.
    """

    algorithm: ClassVar[str] = "linear_learner"

    def __init__(
        self,
        role: str | None = None,
        instance_count: int = 1,
        instance_type: str | None = None,
        predictor_type: Literal["binary_classifier", "multiclass_classifier", "regressor"] | None = None,
        *,
        num_classes: int | None = None,
        accuracy_top_k: int | None = None,
        balance_multiclass_weights: bool | None = None,
        beta_1: float | Literal["auto"] | None = None,
        beta_2: float | Literal["auto"] | None = None,
        bias_lr_mult: float | Literal["auto"] | None = None,
        bias_wd_mult: float | Literal["auto"] | None = None,
        binary_classifier_model_selection_criteria: Literal[
            "accuracy",
            "f_beta",
            "precision_at_target_recall",
            "recall_at_target_precision",
            "loss_function",
        ]
        | None = None,
        early_stopping_patience: int | None = None,
        early_stopping_tolerance: float | None = None,
        epochs: int | None = None,
        f_beta: float | None = None,
        feature_dim: int | Literal["auto"] | None = None,
        huber_delta: float | None = None,
        init_bias: float | None = None,
        init_method: Literal["uniform", "normal"] | None = None,
        init_scale: float | None = None,
        init_sigma: float | None = None,
        l1: float | Literal["auto"] | None = None,
        learning_rate: float | Literal["auto"] | None = None,
        loss: Literal[
            "logistic",
            "hinge_loss",
            "softmax_loss",
            "squared_loss",
            "absolute_loss",
            "eps_insensitive_squared_loss",
            "eps_insensitive_absolute_loss",
            "quantile_loss",
            "huber_loss",
            "auto",
        ]
        | None = None,
        loss_insensitivity: float | None = None,
        lr_scheduler_factor: float | Literal["auto"] | None = None,
        lr_scheduler_minimum_lr: float | Literal["auto"] | None = None,
        lr_scheduler_step: int | Literal["auto"] | None = None,
        margin: float | None = None,
        mini_batch_size: int | None = None,
        momentum: float | Literal["auto"] | None = None,
        normalize_data: bool | Literal["auto"] | None = None,
        normalize_label: bool | Literal["auto"] | None = None,
        num_calibration_samples: int | Literal["auto"] | None = None,
        num_models: int | Literal["auto"] | None = None,
        num_point_for_scaler: int | None = None,
        optimizer: Literal["sgd", "adam", "rmsprop", "auto"] | None = None,
        positive_example_weight_mult: float | str | None = None,
        quantile: float | None = None,
        target_precision: float | None = None,
        target_recall: float | None = None,
        unbias_data: bool | Literal["auto"] | None = None,
        unbias_label: bool | Literal["auto"] | None = None,
        use_bias: bool | None = None,
        use_lr_scheduler: bool | None = None,
        wd: float | Literal["auto"] | None = None,
        **options: Unpack[Options],
    ) -> None:
        given = {
            "predictor_type": predictor_type,
            "num_classes": num_classes,
            "accuracy_top_k": accuracy_top_k,
            "balance_multiclass_weights": balance_multiclass_weights,
            "beta_1": beta_1,
            "beta_2": beta_2,
            "bias_lr_mult": bias_lr_mult,
            "bias_wd_mult": bias_wd_mult,
            "binary_classifier_model_selection_criteria": binary_classifier_model_selection_criteria,
            "early_stopping_patience": early_stopping_patience,
            "early_stopping_tolerance": early_stopping_tolerance,
            "epochs": epochs,
            "f_beta": f_beta,
            "feature_dim": feature_dim,
            "huber_delta": huber_delta,
            "init_bias": init_bias,
            "init_method": init_method,
            "init_scale": init_scale,
            "init_sigma": init_sigma,
            "l1": l1,
            "learning_rate": learning_rate,
            "loss": loss,
            "loss_insensitivity": loss_insensitivity,
            "lr_scheduler_factor": lr_scheduler_factor,
            "lr_scheduler_minimum_lr": lr_scheduler_minimum_lr,
            "lr_scheduler_step": lr_scheduler_step,
            "margin": margin,
            "mini_batch_size": mini_batch_size,
            "momentum": momentum,
            "normalize_data": normalize_data,
            "normalize_label": normalize_label,
            "num_calibration_samples": num_calibration_samples,
            "num_models": num_models,
            "num_point_for_scaler": num_point_for_scaler,
            "optimizer": optimizer,
            "positive_example_weight_mult": positive_example_weight_mult,
            "quantile": quantile,
            "target_precision": target_precision,
            "target_recall": target_recall,
            "unbias_data": unbias_data,
            "unbias_label": unbias_label,
            "use_bias": use_bias,
            "use_lr_scheduler": use_lr_scheduler,
            "wd": wd,
        }
        super().__init__(role, instance_count, instance_type, given, options)


class NTM(TypedEstimator):
    """Finds the topics of documents, and the words of each topic, with a variational auto-encoder.

    Rows in memory, files and addresses train it by ``fit``; the other keywords are those of ``Estimator``.

    feature_dim: Size of the vocabulary: number of counts in each row. An integer at least 1 and at most 1000000.
        Told by the data if not given.
    num_topics: Number of topics to find. An integer at least 2 and at most 1000.
    batch_norm: Whether each layer of the encoder normalizes what it passes on, by batch. True or False. Default:
        False.
    clip_gradient: Each component of the gradient, rescaled, is cut to this size in both directions; inf cuts
        nothing. A number at least 0.001 or 'inf'. Default: inf.
    encoder_layers: Widths of the encoder's layers, from the words on; auto is 3 * num_topics, 2 * num_topics.
        Integers of at least 1 with commas between them, such as 100,50 or [100, 50], or 'auto'. Default: auto.
    encoder_layers_activation: Activation of the encoder's layers. One of 'sigmoid', 'tanh', 'relu'. Default:
        sigmoid.
    epochs: Most passes over the training data. An integer at least 1. Default: 50.
    learning_rate: Step size of the optimizer; adadelta finds its own and does not read it. A number at least
        1e-06 and at most 1.0. Default: 0.001.
    mini_batch_size: Documents per batch on each host, shared out among its GPUs. An integer at least 1 and at
        most 10000. Default: 256.
    num_patience_epochs: Epochs back to the losses that a new one is compared with, and bad epochs in a row that
        are borne; a value above epochs turns early stopping off. An integer at least 1. Default: 3.
    optimizer: Rule by which gradients become steps. One of 'sgd', 'adam', 'adagrad', 'adadelta', 'rmsprop'.
        Default: adadelta.
    rescale_gradient: What the gradient is multiplied with before it is cut. A number at least 0.001 and at most
        1.0. Default: 1.0.
    sub_sample: Share of the training documents drawn for each epoch; one document at least. A number at least 0.0
        and at most 1.0. Default: 1.0.
    tolerance: Smallest decrease of the loss, as a difference, by which an epoch counts as good for early
        stopping. A number at least 1e-06 and at most 0.1. Default: 0.001.
    weight_decay: Strength of the L2 penalty on the weights. A number at least 0.0 and at most 1.0. Default: 0.0.
    """

    algorithm: ClassVar[str] = "ntm"

    def __init__(
        self,
        role: str | None = None,
        instance_count: int = 1,
        instance_type: str | None = None,
        num_topics: int | None = None,
        *,
        feature_dim: int | None = None,
        batch_norm: bool | None = None,
        clip_gradient: float | str | None = None,
        encoder_layers: str | None = None,
        encoder_layers_activation: Literal["sigmoid", "tanh", "relu"] | None = None,
        epochs: int | None = None,
        learning_rate: float | None = None,
        mini_batch_size: int | None = None,
        num_patience_epochs: int | None = None,
        optimizer: Literal["sgd", "adam", "adagrad", "adadelta", "rmsprop"] | None = None,
        rescale_gradient: float | None = None,
        sub_sample: float | None = None,
        tolerance: float | None = None,
        weight_decay: float | None = None,
        **options: Unpack[Options],
    ) -> None:
        given = {
            "num_topics": num_topics,
            "feature_dim": feature_dim,
            "batch_norm": batch_norm,
            "clip_gradient": clip_gradient,
            "encoder_layers": encoder_layers,
            "encoder_layers_activation": encoder_layers_activation,
            "epochs": epochs,
            "learning_rate": learning_rate,
            "mini_batch_size": mini_batch_size,
            "num_patience_epochs": num_patience_epochs,
            "optimizer": optimizer,
            "rescale_gradient": rescale_gradient,
            "sub_sample": sub_sample,
            "tolerance": tolerance,
            "weight_decay": weight_decay,
        }
        super().__init__(role, instance_count, instance_type, given, options)


class PCA(TypedEstimator):
    """Finds the few directions in which rows differ most, and projects rows onto them.

    Rows in memory, files and addresses train it by ``fit``; the other keywords are those of ``Estimator``.

    feature_dim: Number of features in each row. An integer at least 1. Told by the data if not given.
    num_components: Number of principal components to keep; at most feature_dim. An integer at least 1.
    mini_batch_size: Rows per batch on each host. An integer at least 1. Told by the data if not given.
    algorithm_mode: How the components are found: 'regular' is exact and holds a matrix of feature_dim by
        feature_dim; 'randomized' is close and holds a narrow sketch of it, for wide data. One of 'regular',
        'randomized'. Default: regular.
    extra_components: Columns of the sketch beyond num_components; more bring it closer to exact and take more
        memory, and -1 stands for max(10, num_components). It has no effect in regular mode. An integer at least
        -1. Default: -1.
    subtract_mean: Whether the data are centered, in training and at inference. True or False. Default: True.
    """

    algorithm: ClassVar[str] = "pca"

    def __init__(
        self,
        role: str | None = None,
        instance_count: int = 1,
        instance_type: str | None = None,
        num_components: int | None = None,
        *,
        feature_dim: int | None = None,
        mini_batch_size: int | None = None,
        algorithm_mode: Literal["regular", "randomized"] | None = None,
        extra_components: int | None = None,
        subtract_mean: bool | None = None,
        **options: Unpack[Options],
    ) -> None:
        given = {
            "num_components": num_components,
            "feature_dim": feature_dim,
            "mini_batch_size": mini_batch_size,
            "algorithm_mode": algorithm_mode,
            "extra_components": extra_components,
            "subtract_mean": subtract_mean,
        }
        super().__init__(role, instance_count, instance_type, given, options)


class RandomCutForest(TypedEstimator):
    """Scores how anomalous each row is, by how soon random cuts part it from a sample of the others.

    Rows in memory, files and addresses train it by ``fit``; the other keywords are those of ``Estimator``.

    feature_dim: Number of features in each row. An integer at least 1 and at most 10000. Told by the data if not
        given.
    eval_metrics: Scores reported for a labeled test channel: the share of rows called right (accuracy), and
        precision, recall and F1 of the anomalies and of the normal rows (precision_recall_fscore). A JSON list of
        one or more of 'accuracy', 'precision_recall_fscore', each at most once. Default: ["accuracy",
        "precision_recall_fscore"].
    num_samples_per_tree: Rows given to each tree; 1 / num_samples_per_tree should be about the share of
        anomalies. An integer at least 1 and at most 2048. Default: 256.
    num_trees: Number of trees in the forest. An integer at least 50 and at most 1000. Default: 100.
    """

    algorithm: ClassVar[str] = "random_cut_forest"

    def __init__(
        self,
        role: str | None = None,
        instance_count: int = 1,
        instance_type: str | None = None,
        *,
        feature_dim: int | None = None,
        eval_metrics: Sequence[str] | None = None,
        num_samples_per_tree: int | None = None,
        num_trees: int | None = None,
        **options: Unpack[Options],
    ) -> None:
        given = {
            "feature_dim": feature_dim,
            "eval_metrics": eval_metrics,
            "num_samples_per_tree": num_samples_per_tree,
            "num_trees": num_trees,
        }
        super().__init__(role, instance_count, instance_type, given, options)


class XGBoost(TypedEstimator):
    """Gradient boosted trees for regression, classification, ranking, counts and survival times.

    Rows in memory, files and addresses train it by ``fit``; the other keywords are those of ``Estimator``.

    num_round: Number of boosting rounds. An integer at least 1.
    num_class: Number of classes, for the two multi: objectives. An integer at least 2. Required when objective is
        multi:softmax or multi:softprob.
    alpha: L1 penalty on leaf weights. reg_alpha is another name of it. A number at least 0. Default: 0.
    base_score: Starting prediction of every row; where it is not set, the library fits it to the labels. A number
        at least 0. Default: 0.5.
    booster: Trees, a linear model, or trees with dropout. One of 'gbtree', 'gblinear', 'dart'. Default: gbtree.
    colsample_bylevel: Share of columns drawn per depth level. A number above 0 and at most 1. Default: 1.
    colsample_bynode: Share of columns drawn per split. A number above 0 and at most 1. Default: 1.
    colsample_bytree: Share of columns drawn per tree. A number above 0 and at most 1. Default: 1.
    csv_weights: With 1, the second CSV column, behind the label, is the row's weight. An integer at least 0 and
        at most 1. Default: 0.
    deterministic_histogram: Without effect: the library always builds its GPU histograms deterministically. True
        or False. Default: True.
    early_stopping_rounds: Stop when the validation metric has not improved for this many rounds, and keep the
        best round's model; needs a validation channel and eval_metric, whose last entry counts. Not set: off. An
        integer at least 1.
    eta: Shrinkage of each new tree. learning_rate is another name of it. A number at least 0 and at most 1.
        Default: 0.3.
    eval_metric: Metrics to report, with commas between them; not set: the library's choice for the objective. A
        list with commas of one or more of 'accuracy', 'auc', 'aucpr', 'balanced_accuracy', 'f1', 'f1_binary',
        'f1_macro', 'map', 'ndcg', 'precision', 'precision_macro', 'precision_micro', 'r2', 'recall',
        'recall_macro', 'recall_micro', 'aft-nloglik', 'cox-nloglik', 'error', 'gamma-deviance', 'gamma-nloglik',
        'interval-regression-accuracy', 'logloss', 'mae', 'mape', 'merror', 'mlogloss', 'mphe', 'mse', 'poisson-
        nloglik', 'rmse', 'rmsle', 'tweedie-nloglik', each at most once (error, ndcg, map may have a number behind
        them, as in error@0.3).
    gamma: Loss reduction that a split must reach. min_split_loss is another name of it. A number at least 0.
        Default: 0.
    grow_policy: Split nodes level by level or by largest gain; tree_method exact always goes by level. One of
        'depthwise', 'lossguide'. Default: depthwise.
    interaction_constraints: Feature numbers that may appear together on a path, such as [[0,1],[2,3,4]]. A list
        of lists of feature numbers from 0, such as [[0,1],[2,3,4]].
    lambda_: L2 penalty on leaf weights. reg_lambda is another name of it. A number at least 0. Default: 1.
    lambda_bias: Without effect: the library no longer penalizes the bias of the linear booster. A number at least
        0 and at most 1. Default: 0.
    max_bin: Number of histogram bins per feature; the library needs at least 2. An integer at least 0. Default:
        256.
    max_delta_step: Cap on the weight change of a leaf; 0 means none. A number at least 0. Default: 0.
    max_depth: Depth limit of a tree; 0 means none, which tree_method exact cannot do. An integer at least 0.
        Default: 6.
    max_leaves: Limit on the leaves of a tree; 0 means none. An integer at least 0. Default: 0.
    min_child_weight: Smallest sum of hessians that a child may have. A number at least 0. Default: 1.
    monotone_constraints: For each feature, whether the prediction may only fall (-1) or rise (1) with it; 0 means
        no constraint. A list of -1, 0 and 1, one for each feature, such as (0,1,-1). Default: (0, 0).
    normalize_type: Dart: how new trees are weighted against dropped ones. One of 'tree', 'forest'. Default: tree.
    nthread: Number of threads; not set: all. An integer at least 1.
    objective: The learning task. One of 'reg:squarederror', 'reg:linear', 'reg:squaredlogerror', 'reg:logistic',
        'reg:pseudohubererror', 'reg:absoluteerror', 'reg:gamma', 'reg:tweedie', 'binary:logistic',
        'binary:logitraw', 'binary:hinge', 'count:poisson', 'multi:softmax', 'multi:softprob', 'rank:pairwise',
        'rank:ndcg', 'rank:map', 'survival:cox', 'survival:aft', 'aft_loss_distribution'. Default:
        reg:squarederror.
    one_drop: Dart: with 1, each dropout drops at least one tree. An integer at least 0 and at most 1. Default: 0.
    process_type: Grow new trees, or update those of an earlier model, given in the channel model. One of
        'default', 'update'. Default: default.
    rate_drop: Dart: share of trees dropped per round. A number at least 0 and at most 1. Default: 0.0.
    refresh_leaf: Updater refresh: with 1, it also rewrites leaf values, with 0 statistics alone. An integer at
        least 0 and at most 1. Default: 1.
    sample_type: Dart: how dropped trees are drawn. One of 'uniform', 'weighted'. Default: uniform.
    scale_pos_weight: Weight of positive rows, often the number of negatives divided by that of positives. A
        number above 0. Default: 1.
    seed: Random seed. An integer above -2147483648 and below 2147483647. Default: 0.
    single_precision_histogram: Without effect: the library has one precision of histograms, the double one. True
        or False. Default: False.
    sketch_eps: Accuracy of tree_method approx: it then has 1/sketch_eps bins, unless max_bin is set. Without
        effect elsewhere. A number above 0 and below 1. Default: 0.03.
    skip_drop: Dart: chance that a round drops no tree. A number at least 0 and at most 1. Default: 0.0.
    subsample: Share of rows drawn per round. A number above 0 and at most 1. Default: 1.
    tree_method: How splits are found; 'auto' is hist, and gpu_hist is hist on a GPU. One of 'exact', 'approx',
        'hist', 'gpu_hist' or 'auto'. Default: auto.
    tweedie_variance_power: Variance power of the Tweedie objective. A number above 1 and below 2. Default: 1.5.
    updater: Parts that grow or change trees, with commas between them; not set: what tree_method takes. A list
        with commas of one or more of 'grow_colmaker', 'distcol', 'grow_histmaker', 'grow_skmaker', 'sync',
        'refresh', 'prune', 'shotgun', 'coord_descent', 'grow_quantile_histmaker', each at most once. Default:
        grow_colmaker,prune.
    verbosity: Messages of the library: 0 none, 1 warnings, 2 information, 3 debugging. An integer at least 0 and
        at most 3. Default: 1.
    aft_loss_distribution: Noise distribution of survival:aft; not set: normal. One of 'normal', 'logistic',
        'extreme'.
    aft_loss_distribution_scale: Scale of that distribution; not set: 1. A number at least 0.
    dsplit: Without effect: the library shares data out by rows on several hosts. One of 'row', 'col'.
    num_parallel_tree: Trees grown per round, as in a random forest; not set: 1. An integer at least 1.
    predictor: Without effect: the library predicts where the data are. One of 'cpu_predictor', 'gpu_predictor' or
        'auto'.
    prob_buffer_row: Without effect: the library has no such buffer any more. An integer above 1.
    sampling_method: How subsample draws rows, evenly or by their gradients; not set: uniform. One of 'uniform',
        'gradient_based'.
    save_model_on_termination: Write the model after every round, so that a job that is killed leaves the last
        one. True or False. Default: False.
    use_dask_gpu_training: Train on the GPUs of all hosts; needs tree_method gpu_hist or hist, and CSV or Parquet
        files. True or False. Default: False.
    silent: With 1, verbosity is 0 unless it is set. An integer at least 0 and at most 1. Default: 0.
    learning_rate: Another name of eta.
    min_split_loss: Another name of gamma.
    reg_lambda: Another name of lambda_.
    reg_alpha: Another name of alpha.
    """

    algorithm: ClassVar[str] = "xgboost"

    def __init__(
        self,
        role: str | None = None,
        instance_count: int = 1,
        instance_type: str | None = None,
        num_round: int | None = None,
        *,
        num_class: int | None = None,
        alpha: float | None = None,
        base_score: float | None = None,
        booster: Literal["gbtree", "gblinear", "dart"] | None = None,
        colsample_bylevel: float | None = None,
        colsample_bynode: float | None = None,
        colsample_bytree: float | None = None,
        csv_weights: int | None = None,
        deterministic_histogram: bool | None = None,
        early_stopping_rounds: int | None = None,
        eta: float | None = None,
        eval_metric: Sequence[str] | None = None,
        gamma: float | None = None,
        grow_policy: Literal["depthwise", "lossguide"] | None = None,
        interaction_constraints: str | None = None,
        lambda_: float | None = None,
        lambda_bias: float | None = None,
        max_bin: int | None = None,
        max_delta_step: float | None = None,
        max_depth: int | None = None,
        max_leaves: int | None = None,
        min_child_weight: float | None = None,
        monotone_constraints: str | None = None,
        normalize_type: Literal["tree", "forest"] | None = None,
        nthread: int | None = None,
        objective: Literal[
            "reg:squarederror",
            "reg:linear",
            "reg:squaredlogerror",
            "reg:logistic",
            "reg:pseudohubererror",
            "reg:absoluteerror",
            "reg:gamma",
            "reg:tweedie",
            "binary:logistic",
            "binary:logitraw",
            "binary:hinge",
            "count:poisson",
            "multi:softmax",
            "multi:softprob",
            "rank:pairwise",
            "rank:ndcg",
            "rank:map",
            "survival:cox",
            "survival:aft",
            "aft_loss_distribution",
        ]
        | None = None,
        one_drop: int | None = None,
        process_type: Literal["default", "update"] | None = None,
        rate_drop: float | None = None,
        refresh_leaf: int | None = None,
        sample_type: Literal["uniform", "weighted"] | None = None,
        scale_pos_weight: float | None = None,
        single_precision_histogram: bool | None = None,
        sketch_eps: float | None = None,
        skip_drop: float | None = None,
        subsample: float | None = None,
        tree_method: Literal["exact", "approx", "hist", "gpu_hist"] | Literal["auto"] | None = None,
        tweedie_variance_power: float | None = None,
        updater: Sequence[str] | None = None,
        verbosity: int | None = None,
        aft_loss_distribution: Literal["normal", "logistic", "extreme"] | None = None,
        aft_loss_distribution_scale: float | None = None,
        dsplit: Literal["row", "col"] | None = None,
        num_parallel_tree: int | None = None,
        predictor: Literal["cpu_predictor", "gpu_predictor"] | Literal["auto"] | None = None,
        prob_buffer_row: int | None = None,
        sampling_method: Literal["uniform", "gradient_based"] | None = None,
        save_model_on_termination: bool | None = None,
        use_dask_gpu_training: bool | None = None,
        silent: int | None = None,
        learning_rate: float | None = None,
        min_split_loss: float | None = None,
        reg_lambda: float | None = None,
        reg_alpha: float | None = None,
        **options: Unpack[Options],
    ) -> None:
        given = {
            "num_round": num_round,
            "num_class": num_class,
            "alpha": alpha,
            "base_score": base_score,
            "booster": booster,
            "colsample_bylevel": colsample_bylevel,
            "colsample_bynode": colsample_bynode,
            "colsample_bytree": colsample_bytree,
            "csv_weights": csv_weights,
            "deterministic_histogram": deterministic_histogram,
            "early_stopping_rounds": early_stopping_rounds,
            "eta": eta,
            "eval_metric": eval_metric,
            "gamma": gamma,
            "grow_policy": grow_policy,
            "interaction_constraints": interaction_constraints,
            "lambda": lambda_,
            "lambda_bias": lambda_bias,
            "max_bin": max_bin,
            "max_delta_step": max_delta_step,
            "max_depth": max_depth,
            "max_leaves": max_leaves,
            "min_child_weight": min_child_weight,
            "monotone_constraints": monotone_constraints,
            "normalize_type": normalize_type,
            "nthread": nthread,
            "objective": objective,
            "one_drop": one_drop,
            "process_type": process_type,
            "rate_drop": rate_drop,
            "refresh_leaf": refresh_leaf,
            "sample_type": sample_type,
            "scale_pos_weight": scale_pos_weight,
            "single_precision_histogram": single_precision_histogram,
            "sketch_eps": sketch_eps,
            "skip_drop": skip_drop,
            "subsample": subsample,
            "tree_method": tree_method,
            "tweedie_variance_power": tweedie_variance_power,
            "updater": updater,
            "verbosity": verbosity,
            "aft_loss_distribution": aft_loss_distribution,
            "aft_loss_distribution_scale": aft_loss_distribution_scale,
            "dsplit": dsplit,
            "num_parallel_tree": num_parallel_tree,
            "predictor": predictor,
            "prob_buffer_row": prob_buffer_row,
            "sampling_method": sampling_method,
            "save_model_on_termination": save_model_on_termination,
            "use_dask_gpu_training": use_dask_gpu_training,
            "silent": silent,
            "learning_rate": learning_rate,
            "min_split_loss": min_split_loss,
            "reg_lambda": reg_lambda,
            "reg_alpha": reg_alpha,
        }
        super().__init__(role, instance_count, instance_type, given, options)
