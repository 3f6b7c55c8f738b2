use super::*;

fn space() -> IdSpace {
    IdSpace::new(8).expect("8 bits are in range")
}

fn at(n: u8) -> Id {
    space().from_digest(&[n])
}

fn pointer(n: u8) -> Pointer {
    Pointer { id: at(n), node_id: NodeId::new(&format!("n{n}")), index: 0 }
}

fn closer(pointers: &[u8]) -> Route {
    Route { pointers: pointers.iter().map(|n| pointer(*n)).collect(), ..Route::default() }
}

fn past(pointers: &[u8], past: &[u8]) -> Route {
    Route { past: past.iter().map(|n| pointer(*n)).collect(), ..closer(pointers) }
}

fn done(pointers: &[u8]) -> Route {
    Route { done: true, ..closer(pointers) }
}

fn walk(verified: bool, begin: Route) -> Frontier {
    Frontier::new(space(), at(100), NodeId::new("n5"), verified, begin)
}

/// The node asked next, and whether as the owner.
fn asks(frontier: &mut Frontier) -> (Ask, (u8, bool)) {
    match frontier.next() {
        Next::Ask(ask) => {
            let number = ask.pointer.id.to_be_bytes()[31];
            let claimed = ask.claimed;
            (ask, (number, claimed))
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn asks_the_nearest_before_the_target_first_and_believes_whoever_names_an_owner() {
    let mut frontier = walk(false, closer(&[10, 90, 90]));
    let (ask, asked) = asks(&mut frontier);
    assert_eq!((asked, ask.past), ((90, false), 0));
    frontier.answered(&ask, closer(&[95, 90, 5]));
    let (ask, asked) = asks(&mut frontier);
    assert_eq!(asked, (95, false));
    frontier.answered(&ask, done(&[110]));
    assert_eq!(frontier.next(), Next::Found(pointer(110)));
    assert_eq!(frontier.hops(), 2);
}

#[test]
fn silent_nodes_are_walked_around_and_when_the_way_is_lost_more_is_asked_for() {
    let mut frontier = walk(false, closer(&[60, 50, 10]));
    let (ask, asked) = asks(&mut frontier);
    assert_eq!(asked, (60, false));
    frontier.silent(&ask);
    let (ask, asked) = asks(&mut frontier);
    assert_eq!(asked, (50, false));
    frontier.answered(&ask, closer(&[80, 60]));
    let (ask, asked) = asks(&mut frontier);
    assert_eq!(asked, (80, false), "60 is not asked again");
    frontier.silent(&ask);
    let (ask, asked) = asks(&mut frontier);
    assert_eq!((asked, ask.past), ((50, false), WIDE), "the nearest that lives knows more, not 10");
    frontier.answered(&ask, past(&[80, 60], &[110, 120]));
    let (ask, asked) = asks(&mut frontier);
    assert_eq!(asked, (110, true));
    frontier.silent(&ask);
    let (ask, asked) = asks(&mut frontier);
    assert_eq!(asked, (120, true));
    frontier.answered(&ask, past(&[50], &[110]));
    assert_eq!(frontier.next(), Next::Found(pointer(120)), "whoever lies before it is silent");
}

#[test]
fn a_verified_walk_ends_at_a_node_that_calls_itself_the_owner() {
    let mut frontier = walk(true, done(&[120, 130]));
    let (ask, asked) = asks(&mut frontier);
    assert_eq!(asked, (120, true), "what this node believes itself is asked, too");
    frontier.answered(&ask, past(&[90], &[110, 130]));
    let (ask, asked) = asks(&mut frontier);
    assert_eq!(asked, (110, true), "its predecessor is nearer");
    frontier.answered(&ask, done(&[110, 120]));
    assert_eq!(frontier.next(), Next::Found(pointer(110)));
    let mut own = walk(true, done(&[5, 7]));
    assert_eq!((own.next(), own.hops()), (Next::Found(pointer(5)), 0), "this node needs not be asked");
}

#[test]
fn a_node_that_names_one_behind_itself_is_no_owner() {
    let mut frontier = walk(true, past(&[], &[110]));
    let (ask, _) = asks(&mut frontier);
    frontier.answered(&ask, done(&[120]));
    let (ask, asked) = asks(&mut frontier);
    assert_eq!(asked, (120, true));
    frontier.answered(&ask, done(&[120]));
    assert_eq!(frontier.next(), Next::Found(pointer(120)));
}

#[test]
fn suspects_are_asked_when_nobody_else_is_left() {
    let mut frontier = walk(true, past(&[90, 80], &[]));
    let (ask, asked) = asks(&mut frontier);
    assert_eq!(asked, (90, false));
    frontier.postpone(ask);
    let (ask, asked) = asks(&mut frontier);
    assert_eq!(asked, (80, false));
    frontier.silent(&ask);
    let (ask, asked) = asks(&mut frontier);
    assert_eq!((asked, ask.insists), ((90, false), true));
    frontier.silent(&ask);
    assert_eq!((frontier.next(), frontier.hops()), (Next::Lost, 2));
}

#[test]
fn ends_also_when_fed_without_end() {
    for verified in [false, true] {
        let mut frontier = walk(verified, closer(&[0]));
        let mut asked = 0_u32;
        while let Next::Ask(ask) = frontier.next() {
            asked += 1;
            let fresh = |i: u32, id: Id| Pointer { node_id: NodeId::new(&format!("m{asked}-{i}")), id, index: 0 };
            let pointers = (0..8).map(|i| fresh(i, at(90))).collect();
            let past = (8..16).map(|i| fresh(i, at(110))).collect();
            frontier.answered(&ask, Route { done: false, pointers, past });
        }
        assert!(asked as usize <= STEPS_MAX, "{asked}");
    }
}
