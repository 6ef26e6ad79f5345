//! The numbers in the names of slices: sorted as people count, and none missing.

use std::path::Path;

use crate::error::{Error, Result};

/// Checks that the numbers in the names (sorted naturally) rise in equal steps.
///
/// Returns a sentence on what was found, if it is worth saying.
///
/// # Errors
///
/// [`Error::MissingSlice`] or [`Error::DuplicateSlice`].
pub(crate) fn check(folder: &Path, names: &[String]) -> Result<Option<String>> {
    let Some(numbers) = slice_numbers(names) else {
        let unsure = names.len() > 1;
        return Ok(unsure.then(|| {
            "the file names share no single running number: a missing slice would go unseen.".into()
        }));
    };
    let steps: Vec<u64> = numbers.windows(2).map(|n| n[1].saturating_sub(n[0])).collect();
    let Some(step) = steps.iter().copied().min() else {
        return Ok(None);
    };
    for (i, &found) in steps.iter().enumerate() {
        if found == 0 {
            return Err(Error::DuplicateSlice {
                path: folder.to_path_buf(),
                first: names[i].clone(),
                second: names[i + 1].clone(),
            });
        }
        if found != step && step > 0 {
            return Err(Error::MissingSlice {
                path: folder.to_path_buf(),
                missing: numbers[i] + step,
                before: names[i].clone(),
                after: names[i + 1].clone(),
            });
        }
    }
    Ok((step > 1).then(|| format!("the slice numbers rise by {step}; none of them is missing.")))
}

/// The number that alone differs between the names.
fn slice_numbers(names: &[String]) -> Option<Vec<u64>> {
    let split: Vec<Vec<&str>> = names.iter().map(|name| runs(stem(name))).collect();
    let first = split.first()?;
    let varying: Vec<usize> =
        (0..first.len()).filter(|&i| split.iter().any(|parts| parts.get(i) != first.get(i))).collect();
    let &[at] = &varying[..] else { return None };
    split.iter().map(|parts| (parts.len() == first.len()).then(|| parts[at].parse().ok())?).collect()
}

/// The name without its last extension.
pub(crate) fn stem(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

/// Splits into runs of digits and runs of anything else.
fn runs(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let digits = first.is_ascii_digit();
        let end = rest.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(rest.len());
        let (part, after) = rest.split_at(end);
        parts.push(part);
        rest = after;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_names(names: &[&str]) -> Result<Option<String>> {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        check(Path::new("scan"), &names)
    }

    #[test]
    fn gaps_and_doubles_are_named() {
        assert!(matches!(check_names(&["a_1.tif", "a_2.tif", "a_3.tif"]), Ok(None)));
        assert!(matches!(check_names(&["a_8.tif", "a_10.tif"]), Ok(Some(_))));
        let gap = check_names(&["r2_0001.tif", "r2_0002.tif", "r2_0004.tif", "r2_0005.tif"]);
        assert!(matches!(gap, Err(Error::MissingSlice { missing: 3, .. })));
        let double = check_names(&["a_1.tif", "a_01.tif", "a_2.tif"]);
        assert!(matches!(double, Err(Error::DuplicateSlice { .. })));
        assert!(matches!(check_names(&["top.tif", "bottom.tif"]), Ok(Some(_))));
        assert!(matches!(check_names(&["only.tif"]), Ok(None)));
    }
}
