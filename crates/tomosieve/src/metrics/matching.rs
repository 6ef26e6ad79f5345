//! Which truth class does each cluster stand for? (Paper Sec. IV-C.)
//!
//! Clusters are matched to truth classes one to one so that the pixels they share are most (Hungarian method on the
//! confusion matrix). Clusters left over, because the paper over-estimates `K`, map to the class most of their pixels
//! belong to. With fewer clusters than classes some classes stay unmatched and score zero.
//!
//! Ties are settled by rule, so results agree on every machine: among matchings of equal overlap the one that keeps
//! labels closest to classes (least `Σ |cluster − class|`), both being sorted; among equal majorities the smallest
//! class. A cluster matched to a class it shares no pixel with counts as left over.
//!
//! Reference: Kuhn, *The Hungarian method for the assignment problem*, Naval Research Logistics Quarterly 2, 1955.

use pathfinding::kuhn_munkres::kuhn_munkres;
use pathfinding::matrix::Matrix;

use super::confusion::ConfusionMatrix;

/// Truth class of each predicted cluster.
pub fn match_clusters(matrix: &ConfusionMatrix) -> Vec<u8> {
    let class = |(cluster, partner): (usize, Option<usize>)| {
        let shared = partner.filter(|&class| matrix.count(class, cluster) > 0);
        // A cluster without any pixel may keep the partner it was given: it changes no score.
        shared.or_else(|| majority(matrix, cluster)).or(partner).unwrap_or(0) as u8
    };
    hungarian(matrix).into_iter().enumerate().map(class).collect()
}

/// Truth class matched one to one with each cluster, `None` for clusters in excess.
pub fn hungarian(matrix: &ConfusionMatrix) -> Vec<Option<usize>> {
    let (truth, predicted) = (matrix.truth_classes(), matrix.predicted_classes());
    let wide = truth <= predicted; // the solver wants at most as many rows as columns
    let (rows, columns) = if wide { (truth, predicted) } else { (predicted, truth) };
    // Overlap first, closeness of labels second: all distances together stay below one pixel's weight.
    let pixel = ((rows + 1) * columns.max(rows)) as i128;
    let weights = Matrix::from_fn(rows, columns, |(row, column)| {
        let (class, cluster) = if wide { (row, column) } else { (column, row) };
        i128::from(matrix.count(class, cluster)) * pixel - class.abs_diff(cluster) as i128
    });
    let (_, column_of) = kuhn_munkres(&weights);
    let mut partners = vec![None; predicted];
    for (row, column) in column_of.into_iter().enumerate() {
        let (class, cluster) = if wide { (row, column) } else { (column, row) };
        partners[cluster] = Some(class);
    }
    partners
}

/// Class most pixels of `cluster` belong to, the smallest among equals; `None` if it has none.
fn majority(matrix: &ConfusionMatrix, cluster: usize) -> Option<usize> {
    let mut best = (0, None);
    for class in 0..matrix.truth_classes() {
        let count = matrix.count(class, cluster);
        if count > best.0 {
            best = (count, Some(class));
        }
    }
    best.1
}
