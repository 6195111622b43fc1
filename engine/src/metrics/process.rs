//! What the kernel knows of this process, under the names of Prometheus' client libraries. Only where there is a `/proc`.

use std::fs;
use std::sync::LazyLock;

use crate::metrics::Samples;

/// Clock ticks a second in `/proc`. Linux fixes it for programs on every architecture that we build for (`USER_HZ`).
const TICKS: f64 = 100.0;

/// When this process was started, in seconds since 1970.
static STARTED: LazyLock<Option<f64>> = LazyLock::new(|| {
    let since_boot = stat(&fs::read_to_string("/proc/self/stat").ok()?)?.started;
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let boot: f64 = stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    Some(boot + since_boot)
});

#[derive(Debug, PartialEq)]
struct Stat {
    /// Seconds of processor time.
    cpu: f64,
    /// Seconds after boot.
    started: f64,
}

/// Tells what `/proc` says of this process.
pub(super) fn reader() -> impl Fn(&mut Samples) + Send + Sync {
    |samples| {
        if let Some(stat) = fs::read_to_string("/proc/self/stat").ok().and_then(|text| stat(&text)) {
            samples.counter("process_cpu_seconds", "Processor time, of the user and of the system", &[], stat.cpu);
        }
        let mut gauge = |name, help, value: Option<f64>| {
            if let Some(value) = value {
                samples.gauge(name, help, &[], value);
            }
        };
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        gauge("process_resident_memory_bytes", "Memory in use", kilobytes(&status, "VmRSS:"));
        gauge("process_virtual_memory_bytes", "Memory that addresses are given to", kilobytes(&status, "VmSize:"));
        gauge("process_open_fds", "Open file descriptors", open_files());
        let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
        gauge("process_max_fds", "File descriptors that may be open", most_files(&limits));
        gauge("process_start_time_seconds", "When the process was started, since 1970", *STARTED);
    }
}

/// Reads `/proc/self/stat`. The second field is the program's name, which may hold anything, brackets and blanks included.
fn stat(text: &str) -> Option<Stat> {
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    // proc(5) counts from 1, and the first of these is its third.
    let ticks = |field: usize| fields.get(field - 3)?.parse::<f64>().ok();
    Some(Stat { cpu: (ticks(14)? + ticks(15)?) / TICKS, started: ticks(22)? / TICKS })
}

fn kilobytes(status: &str, name: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kilobytes: f64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes * 1024.0)
}

#[expect(clippy::cast_precision_loss, reason = "no process has that many files")]
fn open_files() -> Option<f64> {
    // One of them is the folder that is just read.
    Some(fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1) as f64)
}

fn most_files(limits: &str) -> Option<f64> {
    limits.lines().find_map(|line| line.strip_prefix("Max open files"))?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_says_is_understood_whatever_the_program_is_called() {
        let text = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 250 50 13 14 15 16 4 18 12345 20 21\n";
        assert_eq!(stat(text), Some(Stat { cpu: 3.0, started: 123.45 }));
        assert_eq!(stat("7 (a"), None);
        assert_eq!(stat("7 (a) S 1"), None);
        assert_eq!(kilobytes("VmSize:\t    20 kB\nVmRSS:\t    12 kB\n", "VmRSS:"), Some(12288.0));
        assert_eq!(kilobytes("", "VmRSS:"), None);
        assert_eq!(most_files("Limit  Soft  Hard\nMax open files            1024      4096    files\n"), Some(1024.0));
        assert_eq!(most_files("Max open files            unlimited\n"), None);
    }
}
