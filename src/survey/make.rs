//! A survey of a study: a page for each rater, and the key that unblinds them.

use super::key::{Key, PRESENTATIONS, RATERS, RaterKey, ScreenKey};
use super::page;
use super::screens::{Block, Screen, Settings, blocks, screens, stream};
use crate::dataset::Target;
use crate::report::methods::NINE;
use crate::report::results::StudyResults;
use crate::{Error, Result};
use rand::Rng;

/// A survey: pages to hand out, and the key to keep.
pub struct Survey {
    /// (file name, page) per rater.
    pub pages: Vec<(String, String)>,
    /// The key.
    pub key: Key,
}

/// Makes a survey of a study's heatmaps.
///
/// # Errors
/// [`Error::Usage`] for numbers out of range; [`Error::Data`] when a target lacks heatmaps of a method that others have.
pub fn make(results: &StudyResults, settings: Settings) -> Result<Survey> {
    let kept = results.ecgs.ids.len();
    if settings.ecgs == 0 || settings.ecgs > kept {
        return Err(Error::Usage(format!("--ecgs {}: the study kept heatmaps of {kept} ECGs, choose from 1 to {kept}", settings.ecgs)));
    }
    if !PRESENTATIONS.contains(&settings.presentations) || !RATERS.contains(&settings.raters) {
        return Err(Error::Usage("a survey takes 1 to 20 presentations and 1 to 100 raters".into()));
    }
    let methods: Vec<String> = results.methods().into_iter().filter(|method| NINE.contains(&method.as_str())).collect();
    if methods.len() < 2 {
        return Err(Error::Data("a survey needs heatmaps of at least two methods; run `cardiograd study` with more".into()));
    }
    let blocks = blocks(results, &methods, settings)?;
    let survey = format!("{:016x}", stream(settings, 0).rng().next_u64());
    let targets: Vec<Target> = results.targets.iter().map(|target| target.target).collect();
    let mut pages = Vec::new();
    let mut raters = Vec::new();
    for number in 1..=settings.raters {
        let rater = format!("rater{number}");
        let (screens, place) = screens(&blocks, settings, number as u64);
        pages.push((format!("{rater}.html"), page::page(results, &blocks, &screens, &place, (&survey, &rater), settings)));
        raters.push(RaterKey {
            rater,
            screens: screens.iter().map(|screen| unblinded(screen, &blocks[place[screen.block]], &targets)).collect(),
        });
    }
    let ecgs = results.ecgs.ids[..settings.ecgs].to_vec();
    let key = Key { survey, seed: settings.seed, methods, ecgs, targets, presentations: settings.presentations, raters };
    Ok(Survey { pages, key })
}

fn unblinded(screen: &Screen, block: &Block, targets: &[Target]) -> ScreenKey {
    let choices = screen.choices.iter().zip(&screen.order).map(|(id, at)| (id.clone(), block.methods[*at])).collect();
    ScreenKey {
        id: screen.id.clone(),
        ecg: block.ecg,
        target: targets[block.target],
        view: block.view,
        presentation: screen.presentation,
        choices,
    }
}
