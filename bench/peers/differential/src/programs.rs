//! `bench/programs/*.dl` as dataflows. What every Datalog front end does for set semantics is done
//! here: one `distinct` for each derived relation. Joins are ordered by hand, arrangements shared.
use crate::dataflow::{swap, Build, Rows, Time, Weight};
use crate::facts::SYMBOLS;
use differential_dataflow::operators::iterate::VecVariable;
use differential_dataflow::AsCollection;
use timely::dataflow::operators::ToStream;
use timely::order::Product;

/// The texts in the rules, numbered in this order.
pub const RESERVED: [&str; 3] = ["read", "write", "admin"];
const READ: u32 = SYMBOLS;
const WRITE: u32 = SYMBOLS + 1;
const ADMIN: u32 = SYMBOLS + 2;

pub fn build(program: &str, build: &mut Build) {
    match program {
        "tc" => closure(build),
        "tcn" => non_linear_closure(build),
        "sg" => same_generation(build),
        "triangle" => triangle(build),
        "unreach" => unreach(build),
        "andersen" => andersen(build),
        "cspa" => cspa(build),
        "rbac" => rbac(build),
        "ovn" => ovn(build),
        "fga" => fga(build),
        _ => panic!("no program `{program}`"),
    }
}

/// A relation that its own rules read: what it holds so far, and where its rows go.
macro_rules! recursive {
    ($inner:expr) => {
        VecVariable::new($inner, Product::new(Default::default(), 1u32))
    };
}

fn closure(build: &mut Build) {
    let edge = build.input::<(u32, u32)>("edge");
    let scope = build.scope;
    let edges_from = edge.clone().arrange_by_key();
    // Rows stand as (to, from): by the end that grows.
    let tc = scope.iterative::<u32, _, _>(|inner| {
        let (rules, tc) = recursive!(inner);
        let longer = tc.arrange_by_key().join_core(edges_from.enter(inner), |_, &x, &z| [(z, x)]);
        let next = edge.map(swap).enter(inner).concat(longer).distinct_core::<Weight>();
        rules.set(next.clone());
        next.leave(scope)
    });
    build.output("tc", tc);
}

fn non_linear_closure(build: &mut Build) {
    let edge = build.input::<(u32, u32)>("edge");
    let scope = build.scope;
    let tc = scope.iterative::<u32, _, _>(|inner| {
        let (rules, tc) = recursive!(inner);
        let ending = tc.clone().map(swap).arrange_by_key();
        let longer = ending.join_core(tc.arrange_by_key(), |_, &x, &z| [(x, z)]);
        let next = edge.enter(inner).concat(longer).distinct_core::<Weight>();
        rules.set(next.clone());
        next.leave(scope)
    });
    build.output("tc", tc);
}

fn same_generation(build: &mut Build) {
    let edges_from = build.input::<(u32, u32)>("edge").arrange_by_key();
    let scope = build.scope;
    let siblings =
        edges_from.clone().join_core(edges_from.clone(), |_, &x, &y| (x != y).then_some((x, y)));
    let sg = scope.iterative::<u32, _, _>(|inner| {
        let (rules, sg) = recursive!(inner);
        let edges = edges_from.enter(inner);
        let half = sg.arrange_by_key().join_core(edges.clone(), |_, &b, &x| [(b, x)]);
        let down = half.arrange_by_key().join_core(edges, |_, &x, &y| [(x, y)]);
        let next = siblings.enter(inner).concat(down).distinct_core::<Weight>();
        rules.set(next.clone());
        next.leave(scope)
    });
    build.output("sg", sg);
}

fn triangle(build: &mut Build) {
    let edge = build.input::<(u32, u32)>("edge");
    let from = edge.clone().arrange_by_key();
    let to = edge.clone().map(swap).arrange_by_key();
    let paths = to.join_core(from, |&y, &x, &z| [((x, z), y)]).arrange_by_key();
    let tri = paths
        .join_core(edge.arrange_by_self(), |&(x, z), &y, _| [(x, y, z)])
        .distinct_core::<Weight>();
    build.output("tri", tri);
}

fn unreach(build: &mut Build) {
    let edge = build.input::<(u32, u32)>("edge");
    let scope = build.scope;
    let edges_from = edge.clone().arrange_by_key();
    let node = edge.flat_map(|(x, y)| [x, y]).distinct_core::<Weight>();
    let start: Rows<u32> = vec![(0, Time::default(), 1)].to_stream(scope).as_collection();
    let reach = scope.iterative::<u32, _, _>(|inner| {
        let (rules, reach) = recursive!(inner);
        let edges = edges_from.clone().enter(inner);
        let further = reach.arrange_by_self().join_core(edges, |_, _, &y| [y]);
        let next = start.enter(inner).concat(further).distinct_core::<Weight>();
        rules.set(next.clone());
        next.leave(scope)
    });
    let reached = reach.clone().arrange_by_self();
    let live = node.clone().arrange_by_self().join_core(reached.clone(), |&x, _, _| [x]);
    // One for each live node, taken off again, so that a node without edges counts 0.
    let outdeg = edges_from
        .join_core(reached, |&x, _, _| [x])
        .concat(live.clone())
        .count_core::<Weight>()
        .map(|(x, edges)| (x, edges - 1));
    build.output("reach", reach);
    build.output("unreach", node.concat(live.negate()).distinct_core::<Weight>());
    build.output("outdeg", outdeg);
}

fn andersen(build: &mut Build) {
    let address_of = build.input::<(u32, u32)>("addressOf");
    let assigned_from = build.input::<(u32, u32)>("assign").map(swap).arrange_by_key();
    let loaded_from = build.input::<(u32, u32)>("load").map(swap).arrange_by_key();
    let stored_in = build.input::<(u32, u32)>("store").arrange_by_key();
    let scope = build.scope;
    let points_to = scope.iterative::<u32, _, _>(|inner| {
        let (rules, points_to) = recursive!(inner);
        let points_to = points_to.arrange_by_key();
        let assigned =
            points_to.clone().join_core(assigned_from.enter(inner), |_, &x, &y| [(y, x)]);
        let loaded = points_to
            .clone()
            .join_core(loaded_from.enter(inner), |_, &z, &y| [(z, y)])
            .arrange_by_key()
            .join_core(points_to.clone(), |_, &y, &w| [(y, w)]);
        let stored = points_to
            .clone()
            .join_core(stored_in.enter(inner), |_, &z, &x| [(x, z)])
            .arrange_by_key()
            .join_core(points_to, |_, &z, &w| [(z, w)]);
        let next = address_of
            .enter(inner)
            .concatenate([assigned, loaded, stored])
            .distinct_core::<Weight>();
        rules.set(next.clone());
        next.leave(scope)
    });
    build.output("pointsTo", points_to);
}

fn cspa(build: &mut Build) {
    let assign = build.input::<(u32, u32)>("assign");
    let dereference = build.input::<(u32, u32)>("dereference").arrange_by_key();
    let scope = build.scope;
    let itself = assign.clone().flat_map(|(x, y)| [(x, x), (y, y)]).distinct_core::<Weight>();
    let assigned_from = assign.clone().map(swap).arrange_by_key();
    let (value_flow, value_alias, memory_alias) = scope.iterative::<u32, _, _>(|inner| {
        let (flow_rules, flow) = recursive!(inner);
        let (alias_rules, alias) = recursive!(inner);
        let (memory_rules, memory) = recursive!(inner);
        let dereference = dereference.enter(inner);
        let itself = itself.enter(inner);
        let flow_to = flow.clone().map(swap).arrange_by_key();
        let flow = flow.arrange_by_key();
        let memory = memory.arrange_by_key();

        let through_memory =
            memory.clone().join_core(assigned_from.enter(inner), |_, &y, &x| [(x, y)]);
        let through_flow = flow_to.join_core(flow.clone(), |_, &x, &y| [(x, y)]);
        let next_flow = assign
            .enter(inner)
            .concatenate([through_memory, through_flow, itself.clone()])
            .distinct_core::<Weight>();

        let next_memory = alias
            .arrange_by_key()
            .join_core(dereference.clone(), |_, &z, &x| [(z, x)])
            .arrange_by_key()
            .join_core(dereference, |_, &x, &w| [(x, w)])
            .concat(itself)
            .distinct_core::<Weight>();

        let same_source = flow.clone().join_core(flow.clone(), |_, &x, &y| [(x, y)]);
        let next_alias = flow
            .clone()
            .join_core(memory, |_, &x, &w| [(w, x)])
            .arrange_by_key()
            .join_core(flow, |_, &x, &y| [(x, y)])
            .concat(same_source)
            .distinct_core::<Weight>();

        flow_rules.set(next_flow.clone());
        alias_rules.set(next_alias.clone());
        memory_rules.set(next_memory.clone());
        (next_flow.leave(scope), next_alias.leave(scope), next_memory.leave(scope))
    });
    build.output("valueFlow", value_flow);
    build.output("valueAlias", value_alias);
    build.output("memoryAlias", memory_alias);
}

/// What `start` holds, and who has a row of `edges` (from, to) above it; as (node, who).
fn spread<'s>(
    build: &Build<'s>,
    start: Rows<'s, (u32, u32)>,
    edges: Rows<'s, (u32, u32)>,
) -> Rows<'s, (u32, u32)> {
    let scope = build.scope;
    let edges = edges.arrange_by_key();
    scope.iterative::<u32, _, _>(|inner| {
        let (rules, found) = recursive!(inner);
        let further =
            found.arrange_by_key().join_core(edges.enter(inner), |_, &who, &to| [(to, who)]);
        let next = start.enter(inner).concat(further).distinct_core::<Weight>();
        rules.set(next.clone());
        next.leave(scope)
    })
}

fn rbac(build: &mut Build) {
    let member = build.input::<(u32, u32)>("member");
    let subgroup = build.input::<(u32, u32)>("subgroup");
    let role_inherits = build.input::<(u32, u32)>("role_inherits");
    let grant_role = build.input::<(u32, u32)>("grant_role").arrange_by_key();
    let children = build.input::<(u32, u32)>("parent").map(swap);
    let role_perm = build.input::<(u32, u32, u32)>("role_perm");
    let banned = build.input::<u32>("banned");
    let deny = build.input::<(u32, u32)>("deny");
    let scope = build.scope;

    let in_group = spread(build, member.map(swap), subgroup);
    let granted = in_group.clone().arrange_by_key().join_core(grant_role, |_, &u, &r| [(r, u)]);
    let has_role = spread(build, granted, role_inherits);
    let denied = spread(build, deny.map(swap), children.clone());
    let children = children.arrange_by_key();
    // By file.
    let perm = scope.iterative::<u32, _, _>(|inner| {
        let (rules, perm) = recursive!(inner);
        let below = perm
            .clone()
            .arrange_by_key()
            .join_core(children.enter(inner), |_, &role_action, &child| [(child, role_action)]);
        let implied = perm.flat_map(|(file, (role, action))| match action {
            ADMIN => Some((file, (role, WRITE))),
            WRITE => Some((file, (role, READ))),
            _ => None,
        });
        let next = role_perm
            .map(|(role, action, file)| (file, (role, action)))
            .enter(inner)
            .concatenate([below, implied])
            .distinct_core::<Weight>();
        rules.set(next.clone());
        next.leave(scope)
    });

    let roles = has_role.clone().map(swap).antijoin(banned.distinct_core::<Weight>());
    let permissions = perm.clone().map(|(file, (role, action))| (role, (action, file)));
    let allow = roles
        .map(swap)
        .arrange_by_key()
        .join_core(permissions.arrange_by_key(), |_, &user, &(action, file)| {
            [((user, file), action)]
        })
        .antijoin(denied.clone().map(swap))
        .map(|((user, file), action)| (user, action, file))
        .distinct_core::<Weight>();
    let users = has_role.clone().map(|(_, user)| user).distinct_core::<Weight>();
    let nfiles = allow
        .clone()
        .flat_map(|(user, action, _)| (action == READ).then_some(user))
        .concat(users)
        .count_core::<Weight>()
        .map(|(user, files)| (user, files - 1));
    build.output("in_group", in_group);
    build.output("has_role", has_role);
    build.output("perm", perm);
    build.output("denied", denied);
    build.output("allow", allow);
    build.output("nfiles", nfiles);
}

fn ovn(build: &mut Build) {
    let switch = build.input::<u32>("switch");
    let port = build.input::<(u32, u32)>("port");
    let attach = build.input::<(u32, u32)>("attach");
    let peer = build.input::<(u32, u32)>("rpeer");
    let disabled = build.input::<u32>("disabled");
    let member = build.input::<(u32, u32)>("pgmember");
    let deny = build.input::<(u32, u32)>("acl_deny");

    let up = port.antijoin(disabled).distinct_core::<Weight>();
    let links = peer.clone().concat(peer.map(swap)).distinct_core::<Weight>();
    let routers = attach.clone().map(|(_, router)| (router, router)).distinct_core::<Weight>();
    // As (reached, from).
    let rreach = spread(build, routers, links);
    let attached = attach.map(swap).arrange_by_key();
    let sreach = rreach
        .clone()
        .map(swap)
        .arrange_by_key()
        .join_core(attached.clone(), |_, &to, &from| [(to, from)])
        .arrange_by_key()
        .join_core(attached, |_, &from, &to| [(from, to)])
        .distinct_core::<Weight>();
    let members = member.map(swap).arrange_by_key();
    let blocked = deny
        .arrange_by_key()
        .join_core(members.clone(), |_, &to, &port| [(to, port)])
        .arrange_by_key()
        .join_core(members, |_, &from, &to| [(from, to)])
        .distinct_core::<Weight>();
    let ports_of = up.clone().map(swap).arrange_by_key();
    let flow = sreach
        .clone()
        .arrange_by_key()
        .join_core(ports_of.clone(), |_, &to, &port| [(to, port)])
        .arrange_by_key()
        .join_core(ports_of, |_, &from, &to| (from != to).then_some(((from, to), ())))
        .antijoin(blocked.clone())
        .map(|(ports, ())| ports)
        .distinct_core::<Weight>();
    let sends =
        up.clone().arrange_by_key().join_core(flow.clone().arrange_by_key(), |_, &s, _| [s]);
    let fanout =
        sends.concat(switch).count_core::<Weight>().map(|(switch, flows)| (switch, flows - 1));
    build.output("up", up);
    build.output("rreach", rreach);
    build.output("sreach", sreach);
    build.output("blocked", blocked);
    build.output("flow", flow);
    build.output("fanout", fanout);
}

fn fga(build: &mut Build) {
    let banned = build.input::<u32>("banned");
    let children = build.input::<(u32, u32)>("parent").map(swap);
    let member = build.input::<(u32, u32, u32)>("member");
    let editor = build.input::<(u32, u32)>("editor");
    let viewer = build.input::<(u32, u32)>("viewer");

    let group_can_write = spread(build, editor.map(swap), children.clone());
    let readers = viewer.map(swap).concat(group_can_write.clone());
    let group_can_read = spread(build, readers, children);
    let groups_of = member
        .map(|(_, user, group)| (user, group))
        .antijoin(banned.distinct_core::<Weight>())
        .map(swap)
        .arrange_by_key();
    let can_read = group_can_read
        .map(swap)
        .arrange_by_key()
        .join_core(groups_of.clone(), |_, &file, &user| [(user, file)])
        .distinct_core::<Weight>();
    let can_write = group_can_write
        .map(swap)
        .arrange_by_key()
        .join_core(groups_of, |_, &file, &user| [(user, file)])
        .distinct_core::<Weight>();
    build.output("can_read", can_read);
    build.output("can_write", can_write);
}
