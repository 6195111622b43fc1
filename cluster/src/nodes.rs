//! The nodes that KWOK plays. Pure.

use std::fmt::Write;

/// Manifests of `count` nodes, each with room for more pods than any test has.
pub(crate) fn manifests(count: u32) -> String {
    (0..count).fold(String::new(), |mut yaml, number| {
        // Writing to a string can't fail.
        let _ = write!(
            yaml,
            "\
---
apiVersion: v1
kind: Node
metadata:
  name: node-{number}
  labels: {{kubernetes.io/hostname: node-{number}}}
status:
  allocatable: {{cpu: 1000, memory: 1Ti, pods: 100000}}
  capacity: {{cpu: 1000, memory: 1Ti, pods: 100000}}
"
        );
        yaml
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_node_has_a_name_of_its_own() {
        let yaml = manifests(2);
        assert_eq!(yaml.matches("kind: Node").count(), 2);
        assert!(yaml.contains("name: node-0\n") && yaml.contains("name: node-1\n"));
    }
}
