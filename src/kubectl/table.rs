//! Rows of cells in, aligned lines out. Pure.

use super::text::{cut, pad, width};

/// The blanks between two columns, as kubectl has them.
const GAP: usize = 3;

/// The lines of a table. The last column may be cut where there are only so many `columns`; those before it are what one would
/// search for, and stay.
pub fn lines<const N: usize>(titles: [&str; N], rows: &[[String; N]], columns: Option<usize>) -> Vec<String> {
    let all = || std::iter::once(titles.map(str::to_owned)).chain(rows.iter().cloned());
    let mut widest = [0; N];
    for row in all() {
        for (widest, cell) in widest.iter_mut().zip(&row) {
            *widest = (*widest).max(width(cell));
        }
    }
    let line = |row: [String; N]| {
        let last = row.len().saturating_sub(1);
        let mut line = String::new();
        for (index, cell) in row.iter().enumerate() {
            if index < last {
                line.push_str(&pad(cell, widest[index] + GAP));
            } else {
                let left = columns.map_or(usize::MAX, |columns| columns.saturating_sub(width(&line)));
                line.push_str(&cut(cell, left));
            }
        }
        let line = line.trim_end();
        columns.map_or_else(|| line.to_owned(), |columns| cut(line, columns))
    };
    all().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_the_last_is_cut() {
        let rows = [["a".to_owned(), "データ データ".to_owned()], ["long".to_owned(), "x".to_owned()]];
        assert_eq!(lines(["NAME", "WHY"], &rows, None), ["NAME   WHY", "a      データ データ", "long   x"]);
        assert_eq!(lines(["NAME", "WHY"], &rows, Some(14))[1], "a      データ…");
        assert!(lines(["NAME", "WHY"], &rows, Some(3)).iter().all(|line| width(line) <= 3));
    }
}
