"""scikit-learn's counterpart of each classical model of bestof, with the same settings."""

KINDS = ["decision-tree", "random-forest", "knn", "svm", "gradient-boosting", "mlp", "logistic"]

# Those that scikit-learn fits faster on a sparse matrix; the others get a dense one.
SPARSE = {"svm", "mlp", "logistic"}


# The largest gradient of a weight, per row, at which logistic regression stops: bestof's.
TOLERANCE = 1e-6


def reference(kind, classes, seed):
    """The model of a kind, for labels of so many classes."""
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.neural_network import MLPClassifier
    from sklearn.svm import SVC
    from sklearn.tree import DecisionTreeClassifier

    if kind == "decision-tree":
        return DecisionTreeClassifier(criterion="gini", random_state=seed)
    if kind == "random-forest":
        return RandomForestClassifier(100, criterion="gini", max_features="sqrt", random_state=seed, n_jobs=1)
    if kind == "knn":
        return KNeighborsClassifier(10, algorithm="brute")
    if kind == "svm":
        # Five-fold decisions, Platt's curve through them, and one machine of all rows.
        machine = CalibratedClassifierCV(SVC(C=1.0, gamma="scale", cache_size=500), method="sigmoid", cv=5,
                                         ensemble=False)
        return machine if classes == 2 else OneVsRestClassifier(machine)
    if kind == "gradient-boosting":
        return GradientBoostingClassifier(n_estimators=100, max_depth=5, learning_rate=0.1, subsample=0.8,
                                          random_state=seed)
    if kind == "mlp":
        return MLPClassifier((256, 128), activation="relu", solver="adam", alpha=0.0, batch_size=32,
                             learning_rate_init=1e-3, max_iter=10, n_iter_no_change=10, random_state=seed)
    if kind == "logistic":
        return LogisticRegression(C=1.0, max_iter=2000, tol=TOLERANCE)
    raise ValueError(f"no classical model is called {kind!r}; known are {', '.join(KINDS)}")


def read(folder, part, columns, kind):
    """The numbers and labels of a part that `bestof sentiment features` wrote, as a kind takes them."""
    from sklearn.datasets import load_svmlight_file
    x, y = load_svmlight_file(str(folder / f"{part}.svm"), n_features=columns, zero_based=False)
    # LIBSVM's solver takes indices of 32 bits.
    x.indices, x.indptr = x.indices.astype("int32"), x.indptr.astype("int32")
    return (x if kind in SPARSE else x.toarray()), y.astype(int)
