//! A seed → uids, suffixes of generated names, addresses and ports: as random as those of a real server look, and the same
//! ones for the same seed.

/// Where they come from: `SplitMix64`, whose whole state is one number.
#[derive(Debug, Clone)]
pub struct Identities {
    state: u64,
    /// How many addresses and node ports there were.
    drawn: u64,
    /// Whether nothing is to be kept.
    is_dry: bool,
}

/// The node ports: the API server's default range.
const NODE_PORTS: (u64, u64) = (30_000, 2_768);

/// How far one address or port is from the next: a prime, so that all come by before one comes again.
const STRIDE: u64 = 7_919;

/// The letters of generated suffixes: without vowels, so that no words arise, and without what looks like a digit.
const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

impl Identities {
    /// Those of a seed.
    pub fn new(seed: u64) -> Self {
        Self { state: seed, drawn: seed % STRIDE, is_dry: false }
    }

    /// Those of a dry run, which takes no address: it shows that of the network.
    pub fn dry(&self) -> Self {
        Self { is_dry: true, ..self.clone() }
    }

    /// A cluster IP out of 10.0.0.0/16. None comes again before all others have.
    pub fn address(&mut self) -> String {
        let number = if self.is_dry { 0 } else { self.draw() % 0xfffe + 1 };
        format!("10.0.{}.{}", number >> 8, number & 0xff)
    }

    /// A node port. None comes again before all others have.
    pub fn node_port(&mut self) -> u64 {
        NODE_PORTS.0 + self.draw() % NODE_PORTS.1
    }

    fn draw(&mut self) -> u64 {
        self.drawn += 1;
        self.drawn.wrapping_mul(STRIDE)
    }

    /// A uid, in the form of RFC 9562's version 4.
    pub fn uid(&mut self) -> String {
        let (a, b) = (self.next(), self.next());
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            a >> 32,
            a >> 16 & 0xffff,
            a & 0xfff,
            b >> 48 & 0x3fff | 0x8000,
            b & 0xffff_ffff_ffff
        )
    }

    /// Five letters behind a `generateName`.
    pub fn suffix(&mut self) -> String {
        let mut letter = || LETTERS[usize::try_from(self.next() % LETTERS.len() as u64).unwrap_or(0)];
        (0..5).map(|_| char::from(letter())).collect()
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }
}
