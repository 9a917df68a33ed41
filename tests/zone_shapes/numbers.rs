//! Zone files made of numbers: names, strings and data with all that may have to be quoted in them.

/// Zone files made of numbers: the same in every run.
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % end
    }

    fn one_of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len())]
    }

    fn octet(&mut self) -> String {
        match self.below(4) {
            0 => format!("\\{:03}", self.below(256)),
            1 => format!(
                "\\{}",
                self.one_of(&["a", ";", "\"", "\\", "(", " ", "@", "$", "."])
            ),
            2 => self
                .one_of(&["-", "_", "=", "!", "/", "+", "~", "*"])
                .to_owned(),
            _ => self.one_of(&["a", "B", "c", "7", "x", "Z"]).to_owned(),
        }
    }

    fn name(&mut self) -> String {
        match self.below(4) {
            0 => "@".to_owned(),
            1 => self
                .one_of(&[
                    "mx1",
                    "mx2.sub",
                    "a.example.test.",
                    "IN",
                    "mx",
                    "other.test.",
                ])
                .to_owned(),
            _ => {
                let mut label: String = (0..=self.below(5)).map(|_| self.octet()).collect();
                // What stands first may make a directive or an origin of it.
                label.insert(0, 'n');
                label + self.one_of(&["", ".b", ".example.test."])
            }
        }
    }

    fn owner(&mut self) -> String {
        loop {
            let name = self.name();
            if !name.ends_with("other.test.") {
                return name;
            }
        }
    }

    fn string(&mut self) -> String {
        let text: String = (0..self.below(9)).map(|_| self.octet()).collect();
        match self.below(3) {
            0 => format!("x{text}"),
            _ => format!("\"{text}{}\"", self.one_of(&["", "; (x) ", "\u{e9}"])),
        }
    }

    fn data(&mut self) -> String {
        match self.below(6) {
            0 => format!("A 192.0.2.{}", self.below(256)),
            1 => format!("AAAA 2001:db8::{:x}", self.below(65_536)),
            2 => format!("MX {} {}", self.below(65_536), self.name()),
            3 => format!("TYPE1 \\# 4 c00002{:02x}", self.below(256)),
            _ => {
                let strings: Vec<String> = (0..=self.below(3)).map(|_| self.string()).collect();
                format!(
                    "TXT ( {} )",
                    strings.join(self.one_of(&[" ", "\n\t", " ; comment \"(\n "]))
                )
            }
        }
    }

    pub(crate) fn zone(&mut self) -> String {
        let mut text = match self.below(3) {
            0 => "@ 600 IN SOA a b 1 2 3 4 5\n".to_owned(),
            1 => "$TTL 1h\n@ IN SOA a b 1 2 3 4 5\n".to_owned(),
            _ => "@ IN SOA a. b. ( 1 2h 3m 4w\n 5d )\n".to_owned(),
        };
        text.push_str("@ NS other.test.\n");
        for _ in 0..self.below(30) {
            let owner = match self.below(4) {
                0 => String::new(),
                _ => self.owner(),
            };
            let head = self.one_of(&["", "IN", "60", "IN 2h", "1d IN", "CLASS1"]);
            text.push_str(&format!(
                "{owner}\t{head} {}{}\n",
                self.data(),
                self.one_of(&["", " ; x", "\r"])
            ));
            if self.below(12) == 0 {
                text.push_str(self.one_of(&[
                    "$ORIGIN sub.example.test.\n",
                    "$ORIGIN example.test.\n",
                    "$TTL 90\n",
                    "$GENERATE 1-4 g${0,3} A 192.0.2.$\n",
                    "$GENERATE 0-31/7 ${1,5,N} TXT v${3,2,x}\n",
                    "$GENERATE 2-3 @ MX \"$ mx${-1}\"\n",
                ]));
            }
        }
        text
    }
}
