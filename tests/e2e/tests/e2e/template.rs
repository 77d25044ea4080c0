//! The template, from `faas-cli new` to an answer through the gateway.
//!
//! These tests use neither faas-cli nor Docker, which not every machine has: `faas_flow_e2e::image` does what they
//! would do. One test has buildah build the same files.

use axum::Router;
use faas_flow_e2e::image::buildah::{Buildah, platforms};
use faas_flow_e2e::image::{self, Image, faas_cli};
use faas_flow_e2e::program::root;
use faas_flow_e2e::server::Server;
use faas_flow_e2e::wait::until;
use faas_flow_gateway::{Config, Gateway, Profile, Upstream};
use faas_flow_test_support::double::serve;
use faas_flow_test_support::servers;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

const SECRET: &str = "the secret of these replicas";

/// The folder of a flow's author, Redis, and a gateway.
struct World {
    folder: TempDir,
    host: Image,
    redis: servers::Server,
    gateway: Arc<Gateway>,
    gateway_url: String,
}

impl World {
    async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        // Containers run as another user, who has to get into the folder.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        faas_cli::template_pull(&root(), folder.path());
        let secrets = folder.path().join("secrets");
        fs::create_dir(&secrets).unwrap();
        fs::write(secrets.join("faasflow-hmac-secret"), SECRET).unwrap();
        let gateway = Gateway::new(Config::new(Profile::Pro));
        let gateway_url = serve(gateway.router()).await;
        gateway.start();
        let host = image::host(folder.path());
        Self { host, redis: servers::redis(&[]), gateway, gateway_url, folder }
    }

    /// `faas-cli build` of a function whose handler is in this folder.
    fn build(&self, name: &str, handler: &Path, arguments: &[(&str, &str)]) -> Result<Image, String> {
        self.build_with("faas-flow", name, handler, arguments)
    }

    /// The same with this template.
    fn build_with(
        &self,
        template: &str,
        name: &str,
        handler: &Path,
        arguments: &[(&str, &str)],
    ) -> Result<Image, String> {
        faas_cli::shrinkwrap(self.folder.path(), name, template, handler);
        let images = TempDir::new_in(self.folder.path()).unwrap().keep();
        fs::set_permissions(&images, fs::Permissions::from_mode(0o755)).unwrap();
        image::build(&self.folder.path().join("build").join(name), &self.host, &images, arguments)
    }

    /// A container as a provider runs it, except for its port, since tests run side by side.
    fn container<'a>(&self, image: &'a Image) -> image::Container<'a> {
        let state = format!("redis://127.0.0.1:{}", self.redis.port());
        let deployed = image.container().read_only().secrets(&self.folder.path().join("secrets"));
        // All other settings are in the image, as `faas-cli new` wrote them.
        deployed
            .environment("listen", "127.0.0.1:0")
            .environment("metrics_port", "0")
            .environment("gateway", self.gateway_url.trim_start_matches("http://"))
            .environment("state_store", &state)
    }

    fn deploy(&self, name: &str, image: &Image) -> Server {
        let server = Server::start(self.container(image).pod(&format!("{name}-7d9c5b8f6d-x2k4q")).main());
        self.gateway.set(name, Arc::new(Upstream::new([server.url("/").parse().unwrap()])));
        server
    }

    /// `echo BODY | faas-cli invoke NAME`
    async fn invoke(&self, name: &str, body: &'static str) -> (u16, String) {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = format!("{}/function/{name}", self.gateway_url);
        let response = client.post(url).header("X-Faas-Flow-Wait", "30s").body(body).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }
}

/// The id of the process in the container: a child of a child of the one that was started.
fn inside(server: &Server) -> i32 {
    let child = |id: i32| -> i32 {
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
        children.trim().parse().unwrap_or_else(|_| panic!("not one child: {children}"))
    };
    child(child(server.process()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_function_answers_through_the_gateway_as_nobody_on_a_root_it_cannot_write_to() {
    if !image::containers() {
        return;
    }
    let world = World::new().await;
    faas_cli::new(world.folder.path(), "greet", "faas-flow");
    let handler = world.folder.path().join("greet");
    // The author's cargo finds the SDK at the same place as the image's, and locks the versions.
    let mut cargo = Command::new(env!("CARGO"));
    assert!(cargo.args(["generate-lockfile", "--offline"]).current_dir(&handler).status().unwrap().success());
    let image = world.build("greet", &handler, &[]).unwrap();
    assert_eq!((image.user.as_str(), &image.ports), ("12000:12000", &BTreeSet::from([8080])));
    let mut server = world.deploy("greet", &image);
    assert_eq!(world.invoke("greet", "Adam\n").await, (200, "Hello, Adam!".to_owned()));

    // Settings that stack.yaml leaves out come from the flow.yml in the image.
    let config = ["faas-flow", "config", "--json"].map(str::to_owned);
    let config = world.container(&image).exec(&config);
    let config: Vec<Value> = serde_json::from_slice(&config.stdout).unwrap();
    let from = |key: &str| config.iter().find(|row| row["key"] == key).unwrap()["from"].clone();
    assert_eq!(from("exec_timeout"), "file /home/app/flow.yml");
    assert_eq!(from("state_store"), "environment state_store");

    let process = inside(&server);
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = |name: &str| status.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    assert_eq!(line("Uid:"), "Uid:\t12000\t12000\t12000\t12000");
    assert_eq!(line("Groups:").trim_end(), "Groups:");
    let mounts = fs::read_to_string(format!("/proc/{process}/mounts")).unwrap();
    assert!(mounts.lines().next().unwrap().split(' ').nth(3).unwrap().starts_with("ro,"), "{mounts}");

    // The image's own health check tells whether it is healthy.
    let port = server.address.rsplit(':').next().unwrap();
    let health = |port: &str| world.container(&image).environment("port", port).exec(&image.health).status.code();
    assert_eq!(health(port), Some(0));
    kill_process(Pid::from_raw(process).unwrap(), Signal::TERM).unwrap();
    until("it is not healthy while it ends", async || health(port) != Some(0)).await;
    assert_eq!(server.end().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_whose_tests_fail_gives_no_image_unless_they_are_skipped() {
    if !image::containers() {
        return;
    }
    let world = World::new().await;
    faas_cli::new(world.folder.path(), "greet", "faas-flow");
    let handler = world.folder.path().join("greet/handler.rs");
    let code = fs::read_to_string(&handler).unwrap();
    fs::write(&handler, code.replace("\"Hello, {name}!\"", "\"Bye, {name}!\"")).unwrap();
    let failed = world.build("greet", handler.parent().unwrap(), &[]).unwrap_err();
    assert!(failed.contains("test tests::greets_by_name ... FAILED"), "{failed}");
    let image = world.build("greet", handler.parent().unwrap(), &[("TEST_ENABLED", "false")]).unwrap();
    let _server = world.deploy("greet", &image);
    assert_eq!(world.invoke("greet", "Adam").await, (200, "Bye, Adam!".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flow_whose_scenarios_fail_gives_no_image_and_tells_their_stories() {
    if !image::containers() {
        return;
    }
    let world = World::new().await;
    faas_cli::new(world.folder.path(), "greet", "faas-flow");
    let handler = world.folder.path().join("greet");
    let scenarios = fs::read_to_string(handler.join("tests/greet.yaml")).unwrap();
    fs::write(handler.join("tests/greet.yaml"), scenarios.replace("Hello, Adam!", "Hello, Eve!")).unwrap();
    let failed = world.build("greet", &handler, &[]).unwrap_err();
    for part in ["FAIL tests/greet.yaml:3 greets by name", "+ Hello, Adam!", "what happened:", "the run begins with"] {
        assert!(failed.contains(part), "{part}: {failed}");
    }
    let image = world.build("greet", &handler, &[("TEST_ENABLED", "false")]).unwrap();
    let _server = world.deploy("greet", &image);
    assert_eq!(world.invoke("greet", "Adam").await, (200, "Hello, Adam!".to_owned()));
    assert!(!image.root.join("home/app/tests").exists(), "scenarios are no part of the image");
}

#[tokio::test(flavor = "multi_thread")]
async fn scenarios_find_programs_and_modules_in_the_folder_of_the_function() {
    if !image::containers() {
        return;
    }
    let world = World::new().await;
    // Its functions are programs for a shell, in `functions`.
    world.build("order", &root().join("examples/order"), &[]).unwrap();
}

/// The languages of the templates, and the example that the first function of each is like.
const TEMPLATES: [(&str, &str); 5] = [
    ("faas-flow", "greet"),
    ("faas-flow-go", "greet-go"),
    ("faas-flow-typescript", "greet-typescript"),
    ("faas-flow-python", "greet-python"),
    ("faas-flow-c", "greet-c"),
];

#[test]
fn the_template_of_each_language_plays_the_scenarios_of_its_first_function() {
    for (template, example) in TEMPLATES {
        let folder = TempDir::new().unwrap();
        faas_cli::template_pull(&root(), folder.path());
        faas_cli::new(folder.path(), "greet", template);
        let handler = folder.path().join("greet");
        let module = faas_flow_test_support::modules::module(example);
        let play = |arguments: &[(&str, &str)]| {
            faas_cli::shrinkwrap(folder.path(), "greet", template, &handler);
            let built = TempDir::new_in(folder.path()).unwrap();
            image::play(&folder.path().join("build/greet"), &module, built.path(), arguments)
        };
        let scenarios = fs::read_to_string(handler.join("tests/greet.yaml")).unwrap();
        let original = fs::read_to_string(root().join("template").join(template).join("greet.yaml")).unwrap();
        assert_eq!(scenarios, original, "{template}: what the Dockerfile compares with is outdated");
        fs::write(handler.join("tests/greet.yaml"), scenarios.replace("Adam", "Eve")).unwrap();
        play(&[]).unwrap();
        fs::write(handler.join("tests/greet.yaml"), scenarios.replace("result: Hello", "result: Bye")).unwrap();
        let failed = play(&[]).unwrap_err();
        assert!(failed.contains("FAIL tests/greet.yaml:3 greets by name"), "{template}: {failed}");
        assert!(failed.contains("- Bye, Adam!") && failed.contains("what happened:"), "{template}: {failed}");
        play(&[("TEST_ENABLED", "false")]).unwrap();
        // The scenarios of the first function are beneath those of every function, even of one that is no longer like it.
        fs::rename(handler.join("tests/greet.yaml"), handler.join("tests/other.yaml")).unwrap();
        assert!(play(&[]).unwrap_err().contains("FAILED: 2 scenarios, 1 passed, 1 failed"), "{template}");
        fs::remove_dir_all(handler.join("tests")).unwrap();
        play(&[]).unwrap();
    }
}

#[test]
fn the_templates_of_all_languages_check_and_test_a_module_in_the_same_way() {
    let after_building = |template: &str| {
        let text = fs::read_to_string(root().join("template").join(template).join("Dockerfile")).unwrap();
        text.split_once("\n# The build fails if the host would refuse the module").unwrap().1.to_owned()
    };
    for (template, _) in TEMPLATES {
        assert_eq!(after_building(template), after_building("faas-flow"), "{template}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_example_is_built_with_the_template_and_its_steps_are_other_functions() {
    if !image::containers() {
        return;
    }
    let world = World::new().await;
    let image = world.build("async-chain", &root().join("examples/async-chain"), &[]).unwrap();
    let step = serve(Router::new().fallback(async |body: axum::body::Bytes| body)).await;
    for name in ["func1", "func2", "fake-storage"] {
        world.gateway.set(name, Arc::new(Upstream::new([step.parse().unwrap()])));
    }
    let server = world.deploy("async-chain", &image);
    // It knows its name only from the name of its pod.
    server.until_logged("serving flow async-chain at").await;
    assert_eq!(world.invoke("async-chain", "hi").await, (200, "you said \"hi\"".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_handler_of_the_migration_guide_is_a_flow_that_does_what_the_guide_says() {
    if !image::containers() {
        return;
    }
    let world = World::new().await;
    let guide = fs::read_to_string(root().join("docs/migration.md")).unwrap();
    let (_, code) = guide.split_once("```rust\n").unwrap();
    faas_cli::new(world.folder.path(), "orders", "faas-flow");
    let handler = world.folder.path().join("orders");
    fs::write(handler.join("handler.rs"), code.split_once("```").unwrap().0).unwrap();
    fs::remove_dir_all(handler.join("tests")).unwrap();
    let image = world.build("orders", &handler, &[]).unwrap();
    let shipped = Arc::new(Mutex::new(Vec::new()));
    let priced = serve(Router::new().fallback(async |body: String| format!(" {body}=1 \n"))).await;
    world.gateway.set("price", Arc::new(Upstream::new([priced.parse().unwrap()])));
    for name in ["ship-parcel", "ship-pallet"] {
        let shipped = shipped.clone();
        let ship = async move |body: String| shipped.lock().unwrap().push((name, body));
        let url = serve(Router::new().fallback(ship)).await;
        world.gateway.set(name, Arc::new(Upstream::new([url.parse().unwrap()])));
    }
    let _server = world.deploy("orders", &image);
    // No function has the name that the notification goes to.
    assert_eq!(world.invoke("orders", "tea\ncup").await, (200, "not notified".to_owned()));
    assert_eq!(*shipped.lock().unwrap(), [("ship-parcel", "TEA=1\nCUP=1\n".to_owned())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn buildah_builds_the_dockerfiles_as_they_are_for_two_platforms_and_what_it_builds_answers() {
    if !image::containers() {
        return;
    }
    let world = World::new().await;
    let Some(buildah) = Buildah::find(&world.folder.path().join("buildah")) else { return };
    faas_cli::new(world.folder.path(), "greet", "faas-flow");
    faas_cli::shrinkwrap(world.folder.path(), "greet", "faas-flow", &world.folder.path().join("greet"));
    buildah.host("localhost/host:1");
    let context = world.folder.path().join("build/greet");
    let [image, other] = buildah.flow("localhost/greet", &context, "localhost/host:1").unwrap();
    let ours = world.build("greet", &world.folder.path().join("greet"), &[]).unwrap();
    assert_eq!(image.settings(), ours.settings());
    // One module is for all platforms: nothing was compiled or checked on the other one.
    assert_eq!([image.platform.as_str(), other.platform.as_str()], platforms());
    let module = |image: &Image| fs::read(image.root.join("home/app/flow.wasm")).unwrap();
    assert_eq!(module(&image), module(&other));
    let _server = world.deploy("greet", &image);
    assert_eq!(world.invoke("greet", "Adam").await, (200, "Hello, Adam!".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_of_another_language_is_taken_as_it_is_and_a_broken_one_refused() {
    if !image::containers() {
        return;
    }
    let world = World::new().await;
    let handler = world.folder.path().join("greet-typescript");
    fs::create_dir(&handler).unwrap();
    fs::copy(faas_flow_test_support::modules::module("greet-typescript"), handler.join("flow.wasm")).unwrap();
    let image = world.build("greet-typescript", &handler, &[]).unwrap();
    let server = world.deploy("greet-typescript", &image);
    assert_eq!(world.invoke("greet-typescript", "Adam").await, (200, "Hello, Adam!".to_owned()));
    let process = inside(&server);
    server.kill();
    until("nothing of the container is left", async || !Path::new(&format!("/proc/{process}")).exists()).await;
    fs::write(handler.join("flow.wasm"), "this is no module").unwrap();
    let failed = world.build("greet-typescript", &handler, &[]).unwrap_err();
    assert!(failed.contains("error FF"), "{failed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_function_in_go_is_tested_and_compiled_and_answers() {
    if !image::containers() {
        return;
    }
    let world = World::new().await;
    faas_cli::new(world.folder.path(), "greet", "faas-flow-go");
    let handler = world.folder.path().join("greet");
    // The author's Go finds the SDK at the same place as the image's.
    let mut go = Command::new("go");
    go.args(["test", "./..."]).current_dir(&handler).env("GOWORK", "off").env_remove("GOFLAGS");
    assert!(go.status().unwrap().success());
    let image = world.build_with("faas-flow-go", "greet", &handler, &[]).unwrap();
    let _server = world.deploy("greet", &image);
    assert_eq!(world.invoke("greet", "Adam\n").await, (200, "Hello, Adam!".to_owned()));

    let code = fs::read_to_string(handler.join("handler.go")).unwrap();
    fs::write(handler.join("handler.go"), code.replace("Hello, ", "Bye, ")).unwrap();
    let failed = world.build_with("faas-flow-go", "greet", &handler, &[]).unwrap_err();
    assert!(failed.contains("FAIL: TestGreetsByName"), "{failed}");
    world.build_with("faas-flow-go", "greet", &handler, &[("TEST_ENABLED", "false")]).unwrap();

    fs::write(handler.join("handler.go"), code).unwrap();
    let scenarios = fs::read_to_string(handler.join("tests/greet.yaml")).unwrap();
    fs::write(handler.join("tests/greet.yaml"), scenarios.replace("Hello, ", "Bye, ")).unwrap();
    let failed = world.build_with("faas-flow-go", "greet", &handler, &[]).unwrap_err();
    assert!(failed.contains("FAIL tests/greet.yaml:3 greets by name"), "{failed}");
}

/// The context that Docker would get to build the host's image.
#[test]
fn the_context_of_the_hosts_image_has_all_that_cargo_wants() {
    let patterns = fs::read_to_string(root().join(".dockerignore")).unwrap();
    let context = TempDir::new().unwrap();
    for taken in patterns.lines().filter_map(|line| line.strip_prefix('!')) {
        let taken = Path::new(taken);
        faas_cli::copy(&root().join(taken), &context.path().join(taken), &|path| !path.ends_with("target"));
    }
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--locked", "--format-version=1"]).current_dir(context.path());
    let output = cargo.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // These are compiled into the program.
    assert!(context.path().join("docs/errors/FF0208.md").is_file() && context.path().join("wit/flow.wit").is_file());
}
