//! Figures that are no finite number: in words, in files too, since JSON has no NaN and no infinity.

use serde::{Deserialize, Deserializer, Serializer};

const NOT_A_NUMBER: &str = "not a number";
const INFINITE: &str = "infinite";
const MINUS_INFINITE: &str = "minus infinite";

/// What a figure is, where it is no finite number.
pub fn words(figure: f64) -> Option<&'static str> {
    match figure {
        _ if figure.is_finite() => None,
        _ if figure.is_nan() => Some(NOT_A_NUMBER),
        _ if figure > 0.0 => Some(INFINITE),
        _ => Some(MINUS_INFINITE),
    }
}

/// A number, or the words for what it is.
pub(super) fn serialize<S: Serializer>(figure: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    match words(*figure) {
        Some(words) => serializer.serialize_str(words),
        None => serializer.serialize_f64(*figure),
    }
}

/// What [`serialize`] writes, and the `null` that certificates of earlier versions have in its place.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Number(f64),
        Words(String),
        Nothing(()),
    }
    match Written::deserialize(deserializer)? {
        Written::Number(figure) => Ok(figure),
        Written::Nothing(()) => Ok(f64::NAN),
        Written::Words(text) => match text.as_str() {
            NOT_A_NUMBER => Ok(f64::NAN),
            INFINITE => Ok(f64::INFINITY),
            MINUS_INFINITE => Ok(f64::NEG_INFINITY),
            other => Err(serde::de::Error::custom(format!("'{other}' is no figure"))),
        },
    }
}
