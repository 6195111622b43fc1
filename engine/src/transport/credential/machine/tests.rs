//! Inputs and outputs of the credential's state machine, and what holds of every history.

use proptest::prelude::*;

use super::*;

const FILES: Renewal = Renewal { files: true, command: false };
const COMMAND: Renewal = Renewal { files: false, command: true };
const BOTH: Renewal = Renewal { files: true, command: true };

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn start(what: Renewal, then: Then) -> Output {
    Output { start: Some(what), then }
}

fn renewed(what: Renewal, expires: Option<Duration>) -> Input {
    Input::Renewed { what, changed: true, expires }
}

#[test]
fn the_first_request_starts_a_renewal_and_all_wait_for_that_one() {
    let mut machine = Machine::new(BOTH, false);
    assert_eq!(machine.step(secs(0), Input::Wanted), start(BOTH, Then::Wait));
    assert_eq!(machine.step(secs(1), Input::Wanted), nothing(Then::Wait));
    machine.step(secs(2), renewed(BOTH, Some(secs(1000))));
    assert_eq!(machine.step(secs(3), Input::Wanted), nothing(Then::Use));
}

#[test]
fn files_are_read_again_after_a_minute() {
    let mut machine = Machine::new(FILES, true);
    assert_eq!(machine.step(secs(59), Input::Wanted), nothing(Then::Use));
    assert_eq!(machine.step(secs(60), Input::Wanted), start(FILES, Then::Wait));
    assert_eq!(machine.step(secs(60), Input::Wanted), nothing(Then::Use), "the old one may well be good");
    machine.step(secs(61), renewed(FILES, None));
    assert_eq!(machine.step(secs(120), Input::Wanted), nothing(Then::Use));
}

#[test]
fn a_command_runs_before_its_credential_ends_and_nobody_waits() {
    let mut machine = Machine::new(COMMAND, false);
    machine.step(secs(0), Input::Wanted);
    machine.step(secs(0), renewed(COMMAND, Some(secs(3600))));
    assert_eq!(machine.step(secs(3539), Input::Wanted), nothing(Then::Use));
    assert_eq!(machine.step(secs(3540), Input::Wanted), start(COMMAND, Then::Use));
    assert_eq!(machine.step(secs(3599), Input::Wanted), nothing(Then::Use));
    assert_eq!(machine.step(secs(3600), Input::Wanted), nothing(Then::Wait), "what has ended is not sent");
}

#[test]
fn a_credential_of_short_life_is_used_for_most_of_it() {
    let mut machine = Machine::new(COMMAND, false);
    machine.step(secs(0), Input::Wanted);
    machine.step(secs(0), renewed(COMMAND, Some(secs(10))));
    assert_eq!(machine.step(secs(7), Input::Wanted), nothing(Then::Use));
    assert_eq!(machine.step(secs(8), Input::Wanted), start(COMMAND, Then::Use));
}

#[test]
fn files_read_again_leave_the_end_of_a_commands_credential_as_it_is() {
    let mut machine = Machine::new(BOTH, false);
    machine.step(secs(0), Input::Wanted);
    machine.step(secs(0), renewed(BOTH, Some(secs(100))));
    assert_eq!(machine.step(secs(60), Input::Wanted), start(FILES, Then::Wait));
    machine.step(secs(60), renewed(FILES, None));
    assert_eq!(machine.step(secs(80), Input::Wanted), start(COMMAND, Then::Use));
}

#[test]
fn a_hundred_refusals_are_one_renewal() {
    let mut machine = Machine::new(COMMAND, false);
    machine.step(secs(0), Input::Wanted);
    machine.step(secs(0), renewed(COMMAND, None));
    let refused = Input::Refused { generation: 0 };
    assert_eq!(machine.step(secs(20), refused), start(COMMAND, Then::Wait));
    for _ in 0..99 {
        assert_eq!(machine.step(secs(20), refused), nothing(Then::Wait));
    }
    machine.step(secs(21), renewed(COMMAND, None));
    assert_eq!(machine.step(secs(21), refused), nothing(Then::Use), "it has been replaced since");
}

#[test]
fn a_server_that_refuses_everything_runs_a_command_every_ten_seconds_at_most() {
    let mut machine = Machine::new(BOTH, false);
    machine.step(secs(0), Input::Wanted);
    machine.step(secs(0), renewed(BOTH, None));
    let mut runs = 0;
    for second in 0..100 {
        let output = machine.step(secs(second), Input::Refused { generation: u64::MAX });
        let what = output.start.expect("files are read each time");
        runs += u32::from(what.command);
        machine.step(secs(second), Input::Renewed { what, changed: false, expires: None });
    }
    assert_eq!(runs, 10);
}

#[test]
fn what_is_held_outlives_a_renewal_that_fails_until_it_ends() {
    let mut machine = Machine::new(COMMAND, false);
    machine.step(secs(0), Input::Wanted);
    machine.step(secs(0), renewed(COMMAND, Some(secs(100))));
    assert_eq!(machine.step(secs(80), Input::Wanted).start, Some(COMMAND));
    assert_eq!(machine.step(secs(81), Input::Failed), nothing(Then::Use));
    assert_eq!(machine.step(secs(81), Input::Wanted), nothing(Then::Use), "no haste after a failure");
    assert_eq!(machine.step(secs(82), Input::Wanted).start, Some(COMMAND));
    assert_eq!(machine.step(secs(99), Input::Failed), nothing(Then::Use));
    assert_eq!(machine.step(secs(100), Input::Wanted), nothing(Then::Fail));
    assert_eq!(machine.step(secs(101), Input::Wanted), start(COMMAND, Then::Wait));
}

#[test]
fn a_connection_that_fails_has_the_files_read_again_but_not_without_end() {
    let mut machine = Machine::new(BOTH, true);
    assert_eq!(machine.step(secs(0), Input::Unconnected), nothing(Then::Use));
    assert_eq!(machine.step(secs(2), Input::Unconnected), start(FILES, Then::Use));
    assert_eq!(machine.step(secs(2), Input::Unconnected), nothing(Then::Use));
    machine.step(secs(2), renewed(FILES, None));
    assert_eq!(machine.step(secs(2), Input::Unconnected), nothing(Then::Use));
}

#[test]
fn what_never_changes_is_never_renewed() {
    let mut machine = Machine::new(Renewal::default(), true);
    for input in [Input::Wanted, Input::Refused { generation: 0 }, Input::Unconnected] {
        assert_eq!(machine.step(secs(1_000_000), input), nothing(Then::Use));
    }
}

proptest! {
    /// Whatever happens: one renewal at a time, none that can't be done, nobody waits for nothing, nothing is sent that has ended.
    #[test]
    fn no_history_breaks_what_is_promised(
        (files, command) in any::<(bool, bool)>(),
        held in any::<bool>(),
        history in prop::collection::vec((0u8..6, 0u64..90, 1u64..200, any::<bool>()), 0..200),
    ) {
        let renewable = Renewal { files, command };
        prop_assume!(held || files || command);
        let mut machine = Machine::new(renewable, held && !command);
        let (mut now, mut under_way, mut expires) = (Duration::ZERO, None::<Renewal>, None);
        for (what, passed, life, changed) in history {
            now += secs(passed);
            let input = match (what, under_way) {
                (0 | 1, _) => Input::Wanted,
                (2, _) => Input::Refused { generation: life % 3 },
                (3, _) => Input::Unconnected,
                (4, Some(what)) => {
                    under_way = None;
                    let told = what.command.then_some(now + secs(life));
                    expires = if what.command { told } else { expires };
                    Input::Renewed { what, changed, expires: told }
                }
                (5, Some(_)) => {
                    under_way = None;
                    Input::Failed
                }
                _ => continue,
            };
            let output = machine.step(now, input);
            if let Some(start) = output.start {
                prop_assert!(under_way.is_none(), "two at a time");
                prop_assert!(start.files <= files && start.command <= command && start != Renewal::default());
                under_way = Some(start);
            }
            match output.then {
                Then::Wait => prop_assert!(under_way.is_some(), "waits for nothing"),
                Then::Use if matches!(input, Input::Wanted) => {
                    prop_assert!(expires.is_none_or(|expires| now < expires), "has ended");
                }
                _ => {}
            }
        }
    }
}

#[test]
fn a_command_that_fails_is_not_run_again_sooner_because_files_could_be_read() {
    let mut machine = Machine::new(BOTH, false);
    machine.step(secs(0), Input::Wanted);
    machine.step(secs(0), renewed(BOTH, Some(secs(100))));
    assert_eq!(machine.step(secs(90), Input::Wanted), start(BOTH, Then::Use));
    machine.step(secs(90), Input::Failed);
    assert_eq!(machine.step(secs(90), Input::Refused { generation: u64::MAX }), start(FILES, Then::Wait));
    machine.step(secs(90), renewed(FILES, None));
    assert_eq!(machine.step(secs(90), Input::Wanted), nothing(Then::Use));
    assert_eq!(machine.step(secs(92), Input::Wanted), start(COMMAND, Then::Use));
}
