//! The Gateway API's own definition of `HTTPRoute`, which comes with its Go module.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::World;

/// The module, at the version whose definition the tests run against.
const MODULE: &str = "sigs.k8s.io/gateway-api@v1.4.1";

/// The definition's place in the module.
const DEFINITION: &str = "config/crd/standard/gateway.networking.k8s.io_httproutes.yaml";

/// Applies the definition of `HTTPRoute`; returns false, and says so loudly, where Go can't get the module.
pub(crate) fn install_gateway_api(world: &World) -> bool {
    let folder = match download(world.cluster.folder()) {
        Ok(folder) => folder,
        Err(why) => {
            eprintln!("LEFT OUT: what needs the Gateway API, since {MODULE} is not to be had: {why}");
            return false;
        }
    };
    let definition = format!("{folder}/{DEFINITION}");
    if testbed::is_simulated() {
        world.cluster.apply(&std::fs::read_to_string(definition).expect("the definition"));
    } else {
        world.cluster.kubectl_ok(&["apply", "--server-side", "-f", &definition]);
    }
    true
}

/// The folder in which Go keeps the module, which is downloaded unless it is there.
fn download(anywhere: &Path) -> Result<String, String> {
    let mut go = Command::new("go");
    let output = go.args(["mod", "download", "-json", MODULE]).current_dir(anywhere).output();
    let output = output.map_err(|error| error.to_string())?;
    let said: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let failure = || format!("{}{}", said["Error"], String::from_utf8_lossy(&output.stderr));
    said["Dir"].as_str().map(str::to_owned).ok_or_else(failure)
}
