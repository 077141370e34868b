//! The methods by name: the built-in ones, and those that were added from outside.

use super::catalogue::ROWS;
use super::row::Row;
#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::{Error, Result};
use cardiograd_kernels::sync::{PoisonError, RwLock};
use core::fmt;
use core::str::FromStr;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An explanation method. The order is that of the study's Table 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Method {
    /// Positive gradients through every ReLU (Zeiler & Fergus 2014).
    Deconvolution,
    /// The rescale rule against a baseline (Shrikumar et al. 2017).
    DeepLift,
    /// Expected gradients along random paths with noise (Lundberg & Lee 2017).
    GradientShap,
    /// Positive gradients through ReLUs that were open (Springenberg et al. 2015).
    GuidedBackprop,
    /// Guided backprop × Grad-CAM (Selvaraju et al. 2017).
    GuidedGradCam,
    /// Gradient × input (Shrikumar et al. 2017).
    InputXGradient,
    /// The mean gradient on the way from a baseline (Sundararajan et al. 2017).
    IntegratedGradients,
    /// Standard normal values: the control.
    Random,
    /// The gradient (Simonyan et al. 2014).
    Saliency,
    /// The mean gradient under noise (Smilkov et al. 2017).
    SmoothGrad,
    /// Weighted activation of a layer, one row for all leads (Selvaraju et al. 2017). Not among the nine.
    GradCam,
    /// The variance of the gradient under noise (Adebayo et al. 2018). Not among the nine, nor are those that follow.
    VarGrad,
    /// The fall of the prediction when a window of a lead is replaced by the baseline (Zeiler & Fergus 2014).
    Occlusion,
    /// Relevance by contribution, stabilised (Bach et al. 2015).
    LrpEpsilon,
    /// Relevance that favours contributions of the output's sign (Montavon et al. 2019).
    LrpGamma,
    /// Relevance by positive contributions alone (Montavon et al. 2017).
    LrpZPlus,
    /// ε at linear layers, z⁺ at convolutions, ♭ at the first ("EpsilonPlusFlat").
    LrpComposite,
    /// A method from outside ([`Method::register`]).
    Own(Own),
}

/// The handle of a method that was added from outside.
#[derive(Clone, Copy, Debug)]
pub struct Own(&'static Row);

impl PartialEq for Own {
    fn eq(&self, other: &Own) -> bool {
        self.0.name == other.0.name
    }
}

impl Eq for Own {}

impl PartialOrd for Own {
    fn partial_cmp(&self, other: &Own) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Own {
    fn cmp(&self, other: &Own) -> core::cmp::Ordering {
        self.0.name.cmp(other.0.name)
    }
}

impl core::hash::Hash for Own {
    fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
        self.0.name.hash(state);
    }
}

/// The methods from outside, in the order in which they came.
static OWN: RwLock<Vec<&'static Row>> = RwLock::new(Vec::new());

impl Method {
    /// Every built-in method: the study's ten first, in the order of its Table 4.
    pub const ALL: [Method; 17] = [
        Method::Deconvolution,
        Method::DeepLift,
        Method::GradientShap,
        Method::GuidedBackprop,
        Method::GuidedGradCam,
        Method::InputXGradient,
        Method::IntegratedGradients,
        Method::Random,
        Method::Saliency,
        Method::SmoothGrad,
        Method::GradCam,
        Method::VarGrad,
        Method::Occlusion,
        Method::LrpEpsilon,
        Method::LrpGamma,
        Method::LrpZPlus,
        Method::LrpComposite,
    ];

    /// The study's nine and the random control, in the order of its Table 4.
    pub const STUDY: [Method; 10] = *Method::ALL.first_chunk().unwrap();

    /// The study's nine, without the control: those that its experts voted on.
    pub fn nine() -> impl Iterator<Item = Method> {
        Method::STUDY.into_iter().filter(|method| *method != Method::Random)
    }

    /// What is known of it.
    pub fn row(self) -> &'static Row {
        match self {
            Method::Own(Own(row)) => row,
            // The rows stand in the order of the variants; a test holds it.
            built_in => &ROWS[Method::ALL.iter().position(|method| *method == built_in).unwrap_or(0)],
        }
    }

    /// Adds a method from outside. It can then be asked for wherever a method can, by the handle that this returns or by its name: explained, traced,
    /// perturbed, challenged and reported. Its row stays for as long as the program runs.
    ///
    /// # Errors
    /// [`Error::Usage`] if the name is taken, is `all`, or is not of letters, digits and `_`.
    pub fn register(row: Row) -> Result<Method> {
        let name = row.name;
        let fits = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let mut own = OWN.write().unwrap_or_else(PoisonError::into_inner);
        if !fits || name == "all" {
            return Err(Error::Usage(format!("'{name}' cannot be the name of a method: letters, digits and _ can, 'all' is taken")));
        }
        if ROWS.iter().chain(own.iter().copied()).any(|known| known.name == name) {
            return Err(Error::Usage(format!("there is a method '{name}' already")));
        }
        let row: &'static Row = Box::leak(Box::new(row));
        own.push(row);
        Ok(Method::Own(Own(row)))
    }

    /// The method of a name.
    pub fn named(name: &str) -> Option<Method> {
        let own =
            || OWN.read().unwrap_or_else(PoisonError::into_inner).iter().find(|row| row.name == name).map(|row| Method::Own(Own(row)));
        Method::ALL.into_iter().find(|method| method.name() == name).or_else(own)
    }

    /// The name on the command line and in files.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The name for people.
    pub fn title(self) -> &'static str {
        self.row().title
    }

    /// The methods of a comma-separated list; `all` is the nine and `random`.
    ///
    /// # Errors
    /// [`Error::Usage`] on an unknown or repeated name.
    pub fn parse_list(text: &str) -> Result<Vec<Method>> {
        if text == "all" {
            return Ok(Method::STUDY.to_vec());
        }
        let mut list = Vec::new();
        for name in text.split(',') {
            let method: Method = name.trim().parse()?;
            if list.contains(&method) {
                return Err(Error::Usage(format!("method '{method}' is listed twice")));
            }
            list.push(method);
        }
        Ok(list)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Method {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Method::named(text).ok_or_else(|| {
            let own: Vec<&str> = OWN.read().unwrap_or_else(PoisonError::into_inner).iter().map(|row| row.name).collect();
            let known: Vec<&str> = Method::ALL.map(Method::name).into_iter().chain(own).collect();
            Error::Usage(format!("unknown method '{text}': the methods are {}, or all", known.join(" ")))
        })
    }
}

impl Serialize for Method {
    fn serialize<S: Serializer>(&self, serializer: S) -> core::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Method {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> core::result::Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        name.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_in_the_order_of_the_methods() {
        let names = Method::ALL.map(|method| format!("{method:?}").to_lowercase());
        let rows = ROWS.each_ref().map(|row| row.name.replace('_', ""));
        assert_eq!(names, rows);
        assert_eq!(Method::nine().count(), 9);
    }
}
