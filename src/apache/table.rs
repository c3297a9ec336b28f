//! apr_table_t: an ordered list of names and values whose names are compared without case.

/// Names and values, in the order they were added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Table {
    entries: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Table {
    /// The first value with this name (apr_table_get).
    pub fn get(&self, name: &[u8]) -> Option<&[u8]> {
        self.entries.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_slice())
    }

    /// Whether the name is there, whatever its value.
    pub fn contains(&self, name: &[u8]) -> bool {
        self.get(name).is_some()
    }

    /// Replaces every value of this name by one (apr_table_set).
    pub fn set(&mut self, name: &[u8], value: &[u8]) {
        match self.entries.iter().position(|(key, _)| key.eq_ignore_ascii_case(name)) {
            Some(first) => {
                self.entries[first].1 = value.to_vec();
                let mut index = 0;
                self.entries.retain(|(key, _)| {
                    index += 1;
                    index - 1 <= first || !key.eq_ignore_ascii_case(name)
                });
            }
            None => self.entries.push((name.to_vec(), value.to_vec())),
        }
    }

    /// Adds a value beside those that are there (apr_table_add).
    pub fn add(&mut self, name: &[u8], value: &[u8]) {
        self.entries.push((name.to_vec(), value.to_vec()));
    }

    /// Joins a value to an earlier one of the same name with `, ` (apr_table_merge).
    pub fn merge(&mut self, name: &[u8], value: &[u8]) {
        match self.entries.iter_mut().find(|(key, _)| key.eq_ignore_ascii_case(name)) {
            Some((_, earlier)) => {
                earlier.extend_from_slice(b", ");
                earlier.extend_from_slice(value);
            }
            None => self.add(name, value),
        }
    }

    /// Removes every value of this name (apr_table_unset).
    pub fn unset(&mut self, name: &[u8]) {
        self.entries.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
    }

    /// Names and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.entries.iter().map(|(name, value)| (name.as_slice(), value.as_slice()))
    }

    /// The entries of `top` first, then those of `self` (apr_table_overlay): a look-up finds `top`'s.
    pub fn overlaid_by(&self, top: &Table) -> Table {
        let mut entries = top.entries.clone();
        entries.extend(self.entries.iter().cloned());
        Table { entries }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_without_case_and_set_leaves_one_value() {
        let mut table = Table::default();
        table.add(b"A", b"1");
        table.add(b"b", b"2");
        table.add(b"a", b"3");
        assert_eq!(table.iter().count(), 3);
        table.set(b"a", b"4");
        assert_eq!(table.iter().collect::<Vec<_>>(), [(&b"A"[..], &b"4"[..]), (b"b", b"2")]);
        table.merge(b"B", b"5");
        assert_eq!(table.get(b"b"), Some(&b"2, 5"[..]));
    }
}
