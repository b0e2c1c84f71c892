//! `bench/programs/*.dl`, rule by rule. Counts are a column of their own type, so that an empty
//! group counts 0 without a rule for it.
#![allow(non_snake_case)]
use crate::facts::SYMBOLS;
use ascent::aggregators::{count, sum};
use ascent::ascent;

/// The texts in the rules, numbered in this order.
pub const RESERVED: [&str; 3] = ["read", "write", "admin"];
const READ: u32 = SYMBOLS;
const WRITE: u32 = SYMBOLS + 1;
const ADMIN: u32 = SYMBOLS + 2;

ascent! {
    pub struct Closure;
    relation edge(u32, u32);
    relation tc(u32, u32);
    tc(x, y) <-- edge(x, y);
    tc(x, z) <-- tc(x, y), edge(y, z);
}

ascent! {
    pub struct NonLinearClosure;
    relation edge(u32, u32);
    relation tc(u32, u32);
    tc(x, y) <-- edge(x, y);
    tc(x, z) <-- tc(x, y), tc(y, z);
}

ascent! {
    pub struct SameGeneration;
    relation edge(u32, u32);
    relation sg(u32, u32);
    sg(x, y) <-- edge(p, x), edge(p, y), if x != y;
    sg(x, y) <-- edge(a, x), sg(a, b), edge(b, y);
}

ascent! {
    pub struct Triangle;
    relation edge(u32, u32);
    relation tri(u32, u32, u32);
    tri(x, y, z) <-- edge(x, y), edge(y, z), edge(x, z);
}

ascent! {
    pub struct Unreach;
    relation edge(u32, u32);
    relation node(u32);
    relation reach(u32);
    relation unreach(u32);
    relation outdeg(u32, usize);
    node(x) <-- edge(x, _);
    node(y) <-- edge(_, y);
    reach(0);
    reach(y) <-- reach(x), edge(x, y);
    unreach(x) <-- node(x), !reach(x);
    outdeg(x, edges) <-- node(x), reach(x), agg edges = count() in edge(x, _);
}

ascent! {
    pub struct Andersen;
    relation addressOf(u32, u32);
    relation assign(u32, u32);
    relation load(u32, u32);
    relation store(u32, u32);
    relation pointsTo(u32, u32);
    pointsTo(y, x) <-- addressOf(y, x);
    pointsTo(y, x) <-- assign(y, z), pointsTo(z, x);
    pointsTo(y, w) <-- load(y, x), pointsTo(x, z), pointsTo(z, w);
    pointsTo(z, w) <-- store(y, x), pointsTo(y, z), pointsTo(x, w);
}

ascent! {
    pub struct Cspa;
    relation assign(u32, u32);
    relation dereference(u32, u32);
    relation valueFlow(u32, u32);
    relation valueAlias(u32, u32);
    relation memoryAlias(u32, u32);
    valueFlow(y, x) <-- assign(y, x);
    valueFlow(x, y) <-- assign(x, z), memoryAlias(z, y);
    valueFlow(x, y) <-- valueFlow(x, z), valueFlow(z, y);
    memoryAlias(x, w) <-- dereference(y, x), valueAlias(y, z), dereference(z, w);
    valueAlias(x, y) <-- valueFlow(z, x), valueFlow(z, y);
    valueAlias(x, y) <-- valueFlow(z, x), memoryAlias(z, w), valueFlow(w, y);
    valueFlow(x, x) <-- assign(x, _);
    valueFlow(x, x) <-- assign(_, x);
    memoryAlias(x, x) <-- assign(_, x);
    memoryAlias(x, x) <-- assign(x, _);
}

ascent! {
    pub struct Rbac;
    relation member(u32, u32);
    relation subgroup(u32, u32);
    relation role_inherits(u32, u32);
    relation grant_role(u32, u32);
    relation parent(u32, u32);
    relation role_perm(u32, u32, u32);
    relation banned(u32);
    relation deny(u32, u32);
    relation in_group(u32, u32);
    relation has_role(u32, u32);
    relation perm(u32, u32, u32);
    relation denied(u32, u32);
    relation allow(u32, u32, u32);
    relation nfiles(u32, usize);
    in_group(u, g) <-- member(u, g);
    in_group(u, p) <-- in_group(u, g), subgroup(g, p);
    has_role(u, r) <-- in_group(u, g), grant_role(g, r);
    has_role(u, p) <-- has_role(u, r), role_inherits(r, p);
    perm(r, a, f) <-- role_perm(r, a, f);
    perm(r, a, c) <-- perm(r, a, f), parent(c, f);
    perm(r, WRITE, f) <-- perm(r, (ADMIN), f);
    perm(r, READ, f) <-- perm(r, (WRITE), f);
    denied(u, f) <-- deny(u, f);
    denied(u, c) <-- denied(u, f), parent(c, f);
    allow(u, a, f) <-- has_role(u, r), perm(r, a, f), !banned(u), !denied(u, f);
    nfiles(u, files) <-- has_role(u, _), agg files = count() in allow(u, (READ), _);
}

ascent! {
    pub struct Ovn;
    relation switch(u32);
    relation port(u32, u32);
    relation attach(u32, u32);
    relation rpeer(u32, u32);
    relation disabled(u32);
    relation pgmember(u32, u32);
    relation acl_deny(u32, u32);
    relation up(u32, u32);
    relation rlink(u32, u32);
    relation rreach(u32, u32);
    relation sreach(u32, u32);
    relation blocked(u32, u32);
    relation flow(u32, u32);
    relation sends(u32, u32, usize);
    relation fanout(u32, usize);
    up(p, s) <-- port(p, s), !disabled(p);
    rlink(a, b) <-- rpeer(a, b);
    rlink(b, a) <-- rpeer(a, b);
    rreach(r, r) <-- attach(_, r);
    rreach(a, c) <-- rreach(a, b), rlink(b, c);
    sreach(s, t) <-- attach(s, a), rreach(a, b), attach(t, b);
    blocked(p, q) <-- acl_deny(g, h), pgmember(p, g), pgmember(q, h);
    flow(p, q) <-- up(p, s), sreach(s, t), up(q, t), if p != q, !blocked(p, q);
    // An aggregate ranges over one relation: ports are counted first, so that no join is stored.
    sends(s, p, flows) <-- up(p, s), agg flows = count() in flow(p, _);
    fanout(s, total) <-- switch(s), agg total = sum(flows) in sends(s, _, flows);
}
