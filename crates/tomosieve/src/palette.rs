//! One colour per class, the same in every picture and label file.

use tomosieve_cluster::Clusters;
use tomosieve_volume::LabelTable;

/// Colours that stay apart for colour-blind readers (Okabe & Ito 2008), black first for the darkest class.
const FIRST: [[u8; 3]; 8] = [
    [0, 0, 0],
    [0, 114, 178],
    [230, 159, 0],
    [0, 158, 115],
    [204, 121, 167],
    [240, 228, 66],
    [86, 180, 233],
    [213, 94, 0],
];

/// The colour of a class.
pub fn colour(class: u8) -> [u8; 3] {
    FIRST.get(usize::from(class)).copied().unwrap_or_else(|| {
        // Golden-angle hues, in two alternating lightnesses.
        let hue = f64::from(class) * 137.507_764;
        let lightness = if class.is_multiple_of(2) { 0.45 } else { 0.7 };
        std::array::from_fn(|channel| {
            let angle = (hue - 120.0 * channel as f64).to_radians();
            (255.0 * (lightness + 0.3 * angle.cos()).clamp(0.0, 1.0)) as u8
        })
    })
}

/// Names and colours of the classes of a clustering.
pub fn label_table(clusters: &Clusters) -> LabelTable {
    let classes = || (0..clusters.classes()).map(|class| class as u8);
    LabelTable {
        colours: classes()
            .map(|c| {
                let [r, g, b] = colour(c);
                [r, g, b, 255]
            })
            .collect(),
        names: classes()
            .map(|c| format!("class {c} (mean grey value {:.4})", clusters.means[usize::from(c)]))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn colours_differ() {
        let all: std::collections::BTreeSet<_> = (0..32).map(super::colour).collect();
        assert_eq!(all.len(), 32);
    }
}
