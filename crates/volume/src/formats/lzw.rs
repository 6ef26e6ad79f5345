//! LZW as TIFF has it (TIFF 6.0, section 13), for label volumes: few distinct values, as fast as they are made.
//!
//! A label slice has a handful of classes, so the dictionary needs no hashing: beside each code stands, for every class,
//! the code of the string that is longer by it. For four classes that is a table of 32 KB, one look-up a voxel, and none
//! for what of a run is in the dictionary already. Data of more than [`MOST`] values goes to the `weezl` crate.

use weezl::BitOrder;

/// Most distinct values (counted from 0) that have a table.
const MOST: usize = 64;
/// Empties the dictionary.
const CLEAR: u32 = 256;
/// The end.
const END: u32 = 257;
/// The first code of a string.
const FIRST: u32 = 258;
/// Bits of a code at first.
const BITS: u32 = 9;
/// The dictionary is emptied before a code of this number is given: decoders differ in what they make of it.
const FULL: u32 = 4094;

/// Packs `data`.
pub(super) fn encode(data: &[u8]) -> Vec<u8> {
    let values = data.iter().copied().max().map_or(1, |most| usize::from(most) + 1);
    if values <= MOST {
        return Packer::new(values.next_power_of_two(), data.len() / 4).pack(data);
    }
    let mut packed = Vec::with_capacity(data.len());
    let mut encoder = weezl::encode::Encoder::with_tiff_size_switch(BitOrder::Msb, 8);
    // Into memory, with codes of 8 bits, nothing can fail.
    let _ = encoder.into_stream(&mut packed).encode_all(data);
    packed
}

struct Packer {
    /// For every code and value the code of the string with that value at its end, 0 where there is none yet.
    longer: Vec<u16>,
    /// Values beside a code.
    values: usize,
    /// For every value the codes of its runs of length 1, 2 and so on.
    runs: Vec<Vec<u16>>,
    /// The next code to give, and the bits of a code.
    next: u32,
    bits: u32,
    /// Bits not yet written, from the top down, and how many.
    pending: u64,
    count: u32,
    packed: Vec<u8>,
}

impl Packer {
    fn new(values: usize, expected: usize) -> Self {
        Self {
            longer: vec![0; FULL as usize * values],
            values,
            runs: (0..values as u16).map(|value| vec![value]).collect(),
            next: FIRST,
            bits: BITS,
            pending: 0,
            count: 0,
            packed: Vec::with_capacity(expected),
        }
    }

    fn pack(mut self, data: &[u8]) -> Vec<u8> {
        self.put(CLEAR);
        // Where the next string starts, and where the run it starts in ends.
        let (mut start, mut run_end) = (0, 0);
        while start < data.len() {
            let first = usize::from(data[start]);
            if run_end <= start {
                run_end = start + run(&data[start..]);
            }
            let known = &self.runs[first];
            let known_of_run = known.len().min(run_end - start);
            let mut code = known[known_of_run - 1];
            let mut at = start + known_of_run;
            while let Some(&value) = data.get(at) {
                let place = usize::from(code) * self.values + usize::from(value);
                let longer = self.longer[place];
                if longer == 0 {
                    self.longer[place] = self.next as u16;
                    if at < run_end {
                        self.runs[first].push(self.next as u16);
                    }
                    break;
                }
                code = longer;
                at += 1;
            }
            self.put(u32::from(code));
            self.grow(); // after the last string too, since the decoder adds one there
            start = at;
        }
        self.put(END);
        while self.count > 0 {
            self.packed.push((self.pending >> 56) as u8);
            self.pending <<= 8;
            self.count = self.count.saturating_sub(8);
        }
        self.packed
    }

    /// Counts a new string; codes get longer one string early, and a full dictionary is emptied.
    fn grow(&mut self) {
        self.next += 1;
        if self.next == FULL {
            self.put(CLEAR);
            self.longer.fill(0);
            self.runs.iter_mut().for_each(|codes| codes.truncate(1));
            (self.next, self.bits) = (FIRST, BITS);
        } else if self.next >= 1 << self.bits {
            self.bits += 1;
        }
    }

    /// Writes a code.
    fn put(&mut self, code: u32) {
        self.pending |= u64::from(code) << (64 - self.bits - self.count);
        self.count += self.bits;
        if self.count >= 32 {
            self.packed.extend_from_slice(&((self.pending >> 32) as u32).to_be_bytes());
            self.pending <<= 32;
            self.count -= 32;
        }
    }
}

/// Length of the run that `data` starts with.
fn run(data: &[u8]) -> usize {
    let first = data[0];
    let whole = [first; 32];
    let blocks = data.chunks_exact(32).take_while(|block| *block == whole).count() * 32;
    blocks + data[blocks..].iter().take_while(|value| **value == first).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::encode;

    fn decoded(packed: &[u8]) -> Vec<u8> {
        let mut decoder = weezl::decode::Decoder::with_tiff_size_switch(weezl::BitOrder::Msb, 8);
        decoder.decode(packed).unwrap()
    }

    #[test]
    fn a_packed_string_worked_by_hand() {
        // Clear, "0", "00" and end: nine bits each, and four to fill the last byte.
        let codes = [0b1_0000_0000, 0b0_0000_0000, 0b1_0000_0010, 0b1_0000_0001];
        let bits = codes.iter().fold(0_u64, |bits, code| bits << 9 | code);
        assert_eq!(encode(&[0, 0, 0]), (bits << 4).to_be_bytes()[3..]);
    }

    #[test]
    fn the_dictionary_is_emptied_where_it_is_full() {
        for values in [2_u32, 3, 5, 64, 65, 256] {
            let noise = |i: u32| (i.wrapping_mul(2_654_435_761) >> 13) % values;
            for length in [3_700, 3_837, 3_838, 3_839, 3_840, 100_000] {
                let data: Vec<u8> = (0..length).map(|i| noise(i) as u8).collect();
                assert!(decoded(&encode(&data)) == data, "{length} of {values}");
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_packed_comes_back(runs in prop::collection::vec((0_u8..9, 1_usize..3000), 0..60)) {
            let data: Vec<u8> = runs.into_iter().flat_map(|(value, length)| vec![value; length]).collect();
            prop_assert_eq!(decoded(&encode(&data)), data);
        }
    }
}
