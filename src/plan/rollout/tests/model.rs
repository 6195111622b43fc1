//! Whatever happens to a world, in whatever order: the operator may die after any write, act on what it saw long ago, and come
//! back. Migrations come first, and all comes to rest.

use proptest::prelude::*;

use super::*;

/// What happens to a world.
#[derive(Debug, Clone)]
enum Event {
    Reconcile { most: usize },
    Remember,
    ReconcileFromMemory,
    Succeed,
    Fail,
    DeleteJobs,
    EndPods,
    Pods { are_well: bool },
    Image(u8),
    Migrations(Option<(usize, u8)>),
    Automatic(bool),
    Paused(bool),
    Pin(Option<i64>),
    DeleteDeployment,
    EditDeployment,
    Undo,
    LoseStatus,
    Upgrade,
    Limit(u8),
}

/// The list may be edited while it is worked through.
const LISTS: [&[&str]; 4] = [&["schema", "seed"], &["seed", "schema"], &["first", "schema", "seed"], &["seed"]];

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => (0_usize..6).prop_map(|most| Event::Reconcile { most }),
        4 => Just(Event::Reconcile { most: usize::MAX }),
        1 => Just(Event::Remember),
        2 => Just(Event::ReconcileFromMemory),
        3 => Just(Event::Succeed),
        1 => Just(Event::Fail),
        1 => Just(Event::DeleteJobs),
        1 => Just(Event::EndPods),
        2 => any::<bool>().prop_map(|are_well| Event::Pods { are_well }),
        3 => (0_u8..3).prop_map(Event::Image),
        1 => proptest::option::of((0..LISTS.len(), 0_u8..2)).prop_map(Event::Migrations),
        1 => any::<bool>().prop_map(Event::Automatic),
        1 => any::<bool>().prop_map(Event::Paused),
        1 => proptest::option::weighted(0.3, 1_i64..4).prop_map(Event::Pin),
        1 => prop_oneof![
            Just(Event::DeleteDeployment),
            Just(Event::EditDeployment),
            Just(Event::Undo),
            Just(Event::LoseStatus),
            Just(Event::Upgrade),
            (0_u8..3).prop_map(Event::Limit),
        ],
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn whatever_dies_when_and_whatever_is_seen_late_migrations_come_first_and_all_comes_to_rest(
        migrates in any::<bool>(),
        events in proptest::collection::vec(event(), 1..50),
    ) {
        let migrations_at_first = if migrates { migrations("0") } else { Value::Null };
        let mut world = World::new(&json!({"image": "i", "migrations": migrations_at_first}));
        let mut memory = world.see();
        for event in events {
            match event {
                Event::Reconcile { most } => {
                    world.carry_out(&world.see(), most);
                }
                Event::Remember => memory = world.see(),
                Event::ReconcileFromMemory => {
                    world.carry_out(&memory, usize::MAX);
                }
                Event::Succeed => world.end_jobs("Complete"),
                Event::Fail => world.end_jobs("Failed"),
                Event::DeleteJobs => world.delete_jobs(),
                Event::EndPods => world.pods.clear(),
                Event::Pods { are_well } => world.set_pods(are_well),
                Event::Image(image) => world.set("image", json!(image.to_string())),
                Event::Migrations(list) => {
                    let list = list.map(|(list, args)| listed(LISTS[list], &args.to_string()));
                    world.set("migrations", list.unwrap_or_default());
                }
                Event::Automatic(is_automatic) => {
                    let on_failure = if is_automatic { "Automatic" } else { "None" };
                    world.set("rollback", json!({"onFailure": on_failure}));
                }
                Event::Paused(is_paused) => world.set("paused", json!(is_paused)),
                Event::Pin(number) => world.set("rollback", json!({"toRevision": number})),
                Event::DeleteDeployment => world.delete_deployment(),
                Event::EditDeployment => world.edit_deployment(),
                Event::Undo => world.undo(),
                Event::LoseStatus => world.status = Value::Null,
                Event::Upgrade => (world.is_restricted, world.was_upgraded) = (!world.is_restricted, true),
                Event::Limit(limit) => world.set("revisionHistoryLimit", json!(limit)),
            }
        }
        world.set("paused", json!(false));
        world.set("rollback", Value::Null);
        world.set("image", json!("last"));
        world.set("migrations", migrations("last"));
        world.settle();
        prop_assert_eq!(world.image(), "last");
    }
}
