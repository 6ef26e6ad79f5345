//! The roster of clusterings (paper Sec. IV-H). One more method is one more file and one more line here.

pub mod gmm;
pub mod kmeans;
mod merging;
pub mod multi_otsu;

use crate::clustering::Clustering;
use crate::error::{Error, Result};

/// Makes a method with its default settings.
type Make = fn() -> Box<dyn Clustering>;

/// Names and constructors, the default first.
const ROSTER: [(&str, Make); 3] = [
    (kmeans::NAME, || Box::new(kmeans::KMeans::default())),
    (multi_otsu::NAME, || Box::new(multi_otsu::MultiOtsu::default())),
    (gmm::NAME, || Box::new(gmm::Gmm::default())),
];

/// Names of all methods, the default first.
pub fn names() -> Vec<&'static str> {
    ROSTER.iter().map(|&(name, _)| name).collect()
}

/// The method called `name`, with its default settings.
///
/// # Errors
/// [`Error::UnknownMethod`], listing the names, if there is none.
pub fn by_name(name: &str) -> Result<Box<dyn Clustering>> {
    let found = ROSTER.iter().find(|(known, _)| *known == name);
    let make = found.ok_or_else(|| Error::UnknownMethod { got: name.to_owned(), known: names() })?.1;
    Ok(make())
}
