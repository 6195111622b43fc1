//! Values that are read when somebody asks: readers fill [`Samples`], which go out family by family.
//!
//! A family may be filled by several readers, and must go out in one piece; so all are asked first.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

/// What readers have told.
#[derive(Debug, Default)]
pub struct Samples {
    families: BTreeMap<&'static str, Family>,
}

#[derive(Debug)]
struct Family {
    help: &'static str,
    is_counter: bool,
    series: BTreeMap<Vec<(&'static str, String)>, f64>,
}

impl Samples {
    /// A value that goes up and down. Of the same series told twice, the values are added up.
    pub fn gauge(&mut self, name: &'static str, help: &'static str, labels: &[(&'static str, &str)], value: f64) {
        self.add(name, help, false, labels, value, |one, other| one + other);
    }

    /// The same, but of a series told twice, the higher value counts: for ages.
    pub fn highest(&mut self, name: &'static str, help: &'static str, labels: &[(&'static str, &str)], value: f64) {
        self.add(name, help, false, labels, value, f64::max);
    }

    /// A value that only grows. Its name gets `_total` at the end. Of the same series told twice, the values are added up.
    pub fn counter(&mut self, name: &'static str, help: &'static str, labels: &[(&'static str, &str)], value: f64) {
        self.add(name, help, true, labels, value, |one, other| one + other);
    }

    fn add(
        &mut self,
        name: &'static str,
        help: &'static str,
        is_counter: bool,
        labels: &[(&'static str, &str)],
        value: f64,
        both: fn(f64, f64) -> f64,
    ) {
        let family = self.families.entry(name).or_insert(Family { help, is_counter, series: BTreeMap::new() });
        let labels = labels.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        family.series.entry(labels).and_modify(|sum| *sum = both(*sum, value)).or_insert(value);
    }
}

type Reader = Box<dyn Fn(&mut Samples) + Send + Sync>;

/// Those that are asked. Clones ask the same.
#[derive(Clone, Default)]
pub(super) struct Readers(Arc<Mutex<Vec<Reader>>>);

impl Readers {
    pub(super) fn add(&self, reader: impl Fn(&mut Samples) + Send + Sync + 'static) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(reader));
    }
}

impl fmt::Debug for Readers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readers").finish_non_exhaustive()
    }
}

impl Collector for Readers {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut samples = Samples::default();
        for reader in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            reader(&mut samples);
        }
        for (name, family) in samples.families {
            let kind = if family.is_counter { MetricType::Counter } else { MetricType::Gauge };
            let mut metric = encoder.encode_descriptor(name, family.help, None, kind)?;
            for (labels, value) in &family.series {
                if labels.is_empty() {
                    put(&mut metric, family.is_counter, *value)?;
                } else {
                    put(&mut metric.encode_family(labels)?, family.is_counter, *value)?;
                }
            }
        }
        Ok(())
    }
}

fn put(metric: &mut MetricEncoder<'_>, is_counter: bool, value: f64) -> fmt::Result {
    match (is_counter, whole(value)) {
        (true, Some(value)) => metric.encode_counter::<NoLabelSet, _, u64>(&value.unsigned_abs(), None),
        (true, None) => metric.encode_counter::<NoLabelSet, _, u64>(&value, None),
        (false, Some(value)) => metric.encode_gauge(&value),
        (false, None) => metric.encode_gauge(&value),
    }
}

/// The integer that `value` is, if it is one that a float holds exactly: counts are easier to read without a fraction.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
fn whole(value: f64) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0; // 2^53
    (value.fract() == 0.0 && value.abs() < EXACT).then_some(value as i64)
}
