//! The methods by name.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// An explanation method. The order is that of the study's Table 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Positive gradients through every ReLU (Zeiler & Fergus 2014).
    Deconvolution,
    /// The rescale rule against a baseline (Shrikumar et al. 2017).
    #[serde(rename = "deeplift")]
    DeepLift,
    /// Expected gradients along random paths with noise (Lundberg & Lee 2017).
    GradientShap,
    /// Positive gradients through ReLUs that were open (Springenberg et al. 2015).
    GuidedBackprop,
    /// Guided backprop × Grad-CAM (Selvaraju et al. 2017).
    #[serde(rename = "guided_gradcam")]
    GuidedGradCam,
    /// Gradient × input (Shrikumar et al. 2017).
    #[serde(rename = "inputxgradient")]
    InputXGradient,
    /// The mean gradient on the way from a baseline (Sundararajan et al. 2017).
    IntegratedGradients,
    /// Standard normal values: the control.
    Random,
    /// The gradient (Simonyan et al. 2014).
    Saliency,
    /// The mean gradient under noise (Smilkov et al. 2017).
    #[serde(rename = "smoothgrad")]
    SmoothGrad,
    /// Weighted activation of a layer, one row for all leads (Selvaraju et al. 2017). Not among the nine.
    #[serde(rename = "gradcam")]
    GradCam,
    /// The variance of the gradient under noise (Adebayo et al. 2018). Not among the nine, nor are those that follow.
    #[serde(rename = "vargrad")]
    VarGrad,
    /// The fall of the prediction when a window of a lead is replaced by the baseline (Zeiler & Fergus 2014).
    #[serde(rename = "occlusion")]
    Occlusion,
    /// Relevance by contribution, stabilised (Bach et al. 2015).
    #[serde(rename = "lrp_epsilon")]
    LrpEpsilon,
    /// Relevance that favours contributions of the output's sign (Montavon et al. 2019).
    #[serde(rename = "lrp_gamma")]
    LrpGamma,
    /// Relevance by positive contributions alone (Montavon et al. 2017).
    #[serde(rename = "lrp_zplus")]
    LrpZPlus,
    /// ε at linear layers, z⁺ at convolutions, ♭ at the first ("EpsilonPlusFlat").
    #[serde(rename = "lrp_composite")]
    LrpComposite,
}

impl Method {
    /// Every method: the study's ten first, in the order of its Table 4.
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

    /// The name on the command line and in files.
    pub fn name(self) -> &'static str {
        match self {
            Method::Deconvolution => "deconvolution",
            Method::DeepLift => "deeplift",
            Method::GradientShap => "gradient_shap",
            Method::GuidedBackprop => "guided_backprop",
            Method::GuidedGradCam => "guided_gradcam",
            Method::InputXGradient => "inputxgradient",
            Method::IntegratedGradients => "integrated_gradients",
            Method::Random => "random",
            Method::Saliency => "saliency",
            Method::SmoothGrad => "smoothgrad",
            Method::GradCam => "gradcam",
            Method::VarGrad => "vargrad",
            Method::Occlusion => "occlusion",
            Method::LrpEpsilon => "lrp_epsilon",
            Method::LrpGamma => "lrp_gamma",
            Method::LrpZPlus => "lrp_zplus",
            Method::LrpComposite => "lrp_composite",
        }
    }

    /// The name for people, as the study writes it.
    pub fn title(self) -> &'static str {
        match self {
            Method::Deconvolution => "Deconvolution",
            Method::DeepLift => "DeepLIFT",
            Method::GradientShap => "Gradient SHAP",
            Method::GuidedBackprop => "Guided backprop",
            Method::GuidedGradCam => "Guided Grad-CAM",
            Method::InputXGradient => "Input × gradient",
            Method::IntegratedGradients => "Integrated gradients",
            Method::Random => "Random",
            Method::Saliency => "Saliency",
            Method::SmoothGrad => "SmoothGrad",
            Method::GradCam => "Grad-CAM",
            Method::VarGrad => "VarGrad",
            Method::Occlusion => "Occlusion",
            Method::LrpEpsilon => "LRP-ε",
            Method::LrpGamma => "LRP-γ",
            Method::LrpZPlus => "LRP-z⁺",
            Method::LrpComposite => "LRP composite",
        }
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
        Method::ALL.into_iter().find(|method| method.name() == text).ok_or_else(|| {
            Error::Usage(format!("unknown method '{text}': the methods are {}, or all", Method::ALL.map(Method::name).join(" ")))
        })
    }
}
