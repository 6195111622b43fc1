//! The page on performance says what was measured: its tables and pictures are those that the committed results make.

#[path = "../benches/report/mod.rs"]
mod report;

use std::fs;
use std::path::Path;

use report::data::{Data, Life};

#[test]
fn the_page_and_its_pictures_are_made_of_the_committed_results() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = root.join("docs");
    let report = report::report(&Data::read(&root.join("benches/results")).expect("results"));
    let page = fs::read_to_string(docs.join("performance.md")).expect("the page");
    assert_eq!(report::fill(&page, &report.parts), Ok(page.clone()), "run `make plots`");
    for (file, picture) in report.pictures {
        assert!(page.contains(file), "{file} is shown nowhere");
        assert_eq!(fs::read_to_string(docs.join(file)).expect("a picture"), picture, "{file}: run `make plots`");
    }
}

#[test]
fn a_goal_that_is_missed_says_so_and_by_how_much() {
    let mut data = Data::default();
    for (peer, seconds) in [("floor", 1.0), ("ours", 2.4)] {
        let values = [("cold: seconds to converge".to_owned(), seconds)].into();
        data.lives.push(Life { peer: peer.to_owned(), applications: 500, values });
    }
    let table = report::goals::table(&data);
    assert!(
        table
            .contains("in times of the floor|≤ 1.20×|2.40×|**missed** by a factor of 2.00: [converging](#converging)|"),
        "{table}"
    );
    data.lives[1].values.insert("cold: seconds to converge".to_owned(), 1.1);
    let table = report::goals::table(&data);
    assert!(table.contains("in times of the floor|≤ 1.20×|1.10×|met|"), "{table}");
}
