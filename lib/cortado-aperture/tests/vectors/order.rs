//! The compatible order: kinds order, hash and alias.

use super::parse::{Exact, common, of_kind};
use cortado_aperture::{
    Address, AliasTable, Place, RingOrder, hash_of_ip, hash_of_port, vector_hash,
};

#[test]
fn hashes_of_ips_and_ports() {
    for vector in of_kind("hash") {
        let seed = vector.number(0);
        let (ip, port) = (vector.number(1), vector.number(2));
        assert_eq!(hash_of_ip(ip, seed), vector.number::<i32>(3), "{vector}");
        assert_eq!(hash_of_port(port, seed), vector.number::<i32>(4), "{vector}");
    }
}

fn address(text: &str) -> Address {
    if text == "failed" {
        return Address::Other;
    }
    match text.strip_prefix('?') {
        Some(name) => {
            let (name, port) = name.split_once(':').expect("name:port");
            Address::unresolved(name, port.parse().expect("a port"))
        }
        None => Address::Resolved(text.parse().expect("an address")),
    }
}

#[test]
fn orders_of_addresses() {
    for vector in of_kind("order") {
        let order = RingOrder::compatible(vector.number(0));
        let addresses: Vec<Address> = vector.text(1).split(',').map(address).collect();
        let place = |at: &usize| (order.place(&addresses[*at]), addresses[*at].clone());
        let mut sorted: Vec<usize> = (0..addresses.len()).collect();
        sorted.sort_by_key(place);
        let want: Vec<usize> =
            vector.text(2).split(',').map(|at| at.parse().expect("a position")).collect();
        if vector.has_flag("tie") {
            // The original leaves them as they came; here the addresses decide, however they came.
            let places: Vec<Place> = sorted.iter().map(|at| place(at).0).collect();
            assert_eq!(places[0], places[1], "{vector}");
            assert!(addresses[sorted[0]] < addresses[sorted[1]], "{vector}");
        } else {
            assert_eq!(sorted, want, "{vector}");
        }
        let in_order = want.iter().map(|at| &addresses[*at]);
        assert_eq!(vector_hash(in_order), vector.number::<i32>(3), "{vector}");
    }
}

/// Where the original does not divide by a sum that is nearly 1, its shares are off by as much.
#[test]
fn alias_tables() {
    for vector in of_kind("alias") {
        let weights: Vec<Exact> = vector.list(0).iter().map(|text| Exact::parse(text)).collect();
        let (units, _) = common(&weights);
        let table = AliasTable::new(&units);
        assert_eq!(table.slots().len(), weights.len(), "{vector}");
        if vector.is_error(1) {
            assert!(table.slots().is_empty(), "{vector}: nothing can be drawn");
            continue;
        }
        let parts = 2_f64.powi(64);
        let mut shares = vec![0.0; weights.len()];
        for (index, slot) in table.slots().iter().enumerate() {
            let keep = slot.keep as f64 / parts;
            shares[index] += keep / weights.len() as f64;
            shares[slot.alias as usize] += (1.0 - keep) / weights.len() as f64;
        }
        let total: u128 = units.iter().sum();
        for (share, units) in shares.iter().zip(&units) {
            // All zero: all alike.
            let alike = 1.0 / weights.len() as f64;
            let want = if total == 0 { alike } else { *units as f64 / total as f64 };
            assert!((share - want).abs() < 1e-12, "{vector}: {share}");
        }
        let original = vector.list(3);
        let is_equal = shares
            .iter()
            .zip(&original)
            .all(|(share, want)| (share - want.parse::<f64>().expect("a share")).abs() < 1e-9);
        assert_eq!(is_equal, !vector.is_flagged(), "{vector}");
        if !vector.is_flagged() {
            check_slots(&vector, &table);
        }
    }
}

/// The same table, slot by slot.
#[track_caller]
fn check_slots(vector: &super::parse::Vector, table: &AliasTable) {
    let (keeps, aliases) = (vector.list(1), vector.text(2).split(','));
    for ((slot, keep), alias) in table.slots().iter().zip(keeps).zip(aliases) {
        let keep: f64 = keep.parse().expect("a probability");
        assert!((slot.keep as f64 / 2_f64.powi(64) - keep).abs() < 1e-9, "{vector}");
        if alias != "-" {
            assert_eq!(slot.alias, alias.parse::<u32>().expect("an index"), "{vector}");
        }
    }
}
