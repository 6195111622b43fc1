//! Nothing but its bench: kube-rs' store and scheduler beside this project's.
