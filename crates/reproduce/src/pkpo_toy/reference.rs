//! Variances of the six estimators as another program found them, to compare with.
//!
//! They come from a `NumPy` program that shares no code with this one: 400,000 batches each at
//! theta = 1 and k = 4, every pair a variance and its standard error.

/// A variance and its standard error; nothing where there are too few samples.
type Reference = Option<(f64, f64)>;

/// For each number of samples, the estimators in the order of
/// [`Method::ALL`](super::method::Method::ALL).
pub(crate) const VARIANCES: [(usize, [Reference; 6]); 6] = [
    (
        4,
        [
            Some((263.6879, 0.6163)),
            None,
            Some((10.0590, 0.0376)),
            Some((263.6879, 0.6163)),
            None,
            Some((10.0590, 0.0376)),
        ],
    ),
    (
        8,
        [
            Some((116.8361, 0.2655)),
            Some((13.0664, 0.0272)),
            Some((2.0560, 0.0056)),
            Some((132.6359, 0.3043)),
            Some((38.7095, 0.2287)),
            Some((5.0204, 0.0155)),
        ],
    ),
    (
        12,
        [
            Some((76.2021, 0.1729)),
            Some((5.7198, 0.0118)),
            Some((1.1750, 0.0029)),
            Some((88.4646, 0.2012)),
            Some((21.4522, 0.0927)),
            Some((3.3346, 0.0095)),
        ],
    ),
    (
        16,
        [
            Some((56.3323, 0.1274)),
            Some((3.4513, 0.0072)),
            Some((0.8286, 0.0020)),
            Some((66.1360, 0.1497)),
            Some((15.0357, 0.0538)),
            Some((2.5003, 0.0067)),
        ],
    ),
    (
        24,
        [
            Some((37.1941, 0.0837)),
            Some((1.8530, 0.0040)),
            Some((0.5258, 0.0012)),
            Some((44.0663, 0.0995)),
            Some((9.4723, 0.0282)),
            Some((1.6713, 0.0043)),
        ],
    ),
    (
        32,
        [
            Some((27.6882, 0.0625)),
            Some((1.2444, 0.0027)),
            Some((0.3862, 0.0009)),
            Some((32.9440, 0.0743)),
            Some((6.9509, 0.0188)),
            Some((1.2524, 0.0031)),
        ],
    ),
];
