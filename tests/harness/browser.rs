//! A real Chromium without a window, spoken to in its DevTools protocol over two pipes, so that no
//! port is open and no library is needed. It keeps whatever the console said, for a page that makes
//! the browser complain is a broken page.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use serde_json::{Value, json};
use tempfile::TempDir;

/// How long a page may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A browser with one page, until it is dropped.
pub struct Browser {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    _profile: TempDir,
    session: String,
    last: u64,
    loads: u32,
    complaints: Vec<String>,
}

impl Browser {
    /// Starts one. `CHROMIUM` names the program; `chromium` else.
    pub fn start() -> Self {
        let profile = tempfile::tempdir().unwrap();
        let program = std::env::var("CHROMIUM").unwrap_or_else(|_| "chromium".to_owned());
        // The protocol's pipes are the descriptors 3 and 4.
        let script = "exec \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1";
        let mut child = Command::new("sh")
            .args(["-c", script, "sh", &program])
            .args([
                "--headless=new",
                "--remote-debugging-pipe",
                "--no-sandbox",
                "--no-first-run",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-extensions",
                "--hide-scrollbars",
                "--force-color-profile=srgb",
                "--lang=en-US",
            ])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (to, from) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let mut browser = Self {
            child,
            to,
            from: BufReader::new(from),
            _profile: profile,
            session: String::new(),
            last: 0,
            loads: 0,
            complaints: vec![],
        };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" }));
        let id = target["targetId"].as_str().unwrap();
        let attach = json!({ "targetId": id, "flatten": true });
        let attached = browser.call("Target.attachToTarget", attach);
        browser.session = attached["sessionId"].as_str().unwrap().to_owned();
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser
    }

    /// One command of the protocol and its result.
    pub fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.try_call(method, parameters)
            .unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    fn try_call(&mut self, method: &str, parameters: Value) -> Result<Value, Value> {
        self.last += 1;
        let id = self.last;
        let mut message = json!({ "id": id, "method": method, "params": parameters });
        if !self.session.is_empty() {
            message["sessionId"] = json!(self.session);
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.to
            .write_all(&bytes)
            .expect("chromium runs; is it installed?");
        loop {
            let message = self.read();
            if message["id"] == id {
                return match &message["error"] {
                    Value::Null => Ok(message["result"].clone()),
                    error => Err(error.clone()),
                };
            }
        }
    }

    /// The next message. Those that nobody waits for are kept where they matter.
    fn read(&mut self) -> Value {
        let mut bytes = vec![];
        self.from.read_until(0, &mut bytes).unwrap();
        assert_eq!(bytes.pop(), Some(0), "chromium ended");
        let message: Value = serde_json::from_slice(&bytes).unwrap();
        let parameters = &message["params"];
        match message["method"].as_str() {
            Some("Page.loadEventFired") => self.loads += 1,
            Some("Runtime.exceptionThrown") => {
                self.complaints
                    .push(parameters["exceptionDetails"].to_string());
            }
            Some("Runtime.consoleAPICalled") if parameters["type"] != "log" => {
                self.complaints.push(parameters["args"].to_string());
            }
            Some("Log.entryAdded") => {
                let entry = &parameters["entry"];
                self.complaints
                    .push(format!("{} ({})", entry["text"], entry["url"]));
            }
            _ => {}
        }
        message
    }

    /// A width and height in CSS pixels.
    pub fn size(&mut self, width: u32, height: u32) {
        let metrics =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", metrics);
    }

    /// What the payer's system prefers: `light` or `dark`.
    pub fn colours(&mut self, scheme: &str) {
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.call(
            "Emulation.setEmulatedMedia",
            json!({ "features": features }),
        );
    }

    /// Pages run scripts, or do not.
    pub fn scripts(&mut self, run: bool) {
        self.call(
            "Emulation.setScriptExecutionDisabled",
            json!({ "value": !run }),
        );
    }

    /// Opens a page and waits until it is there.
    pub fn open(&mut self, url: &str) {
        let before = self.loads;
        let opened = self.call("Page.navigate", json!({ "url": url }));
        assert!(opened["errorText"].is_null(), "{url}: {opened}");
        self.loaded_after(before);
    }

    fn loaded_after(&mut self, before: u32) {
        let until = Instant::now() + PATIENCE;
        while self.loads == before {
            assert!(Instant::now() < until, "nothing was loaded");
            self.is_true("true");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Whether an expression is true now. While one page makes way for the next there is nothing to
    /// ask, and nothing is true.
    fn is_true(&mut self, expression: &str) -> bool {
        const MAKES_WAY: &str = "Inspected target navigated or closed";
        let parameters = json!({ "expression": expression, "returnByValue": true });
        match self.try_call("Runtime.evaluate", parameters) {
            Ok(result) => result["result"]["value"] == true,
            Err(error) if error["message"] == MAKES_WAY => false,
            Err(error) => panic!("{expression}: {error}"),
        }
    }

    /// A value that an expression has on the page.
    pub fn evaluate(&mut self, expression: &str) -> Value {
        let parameters = json!({ "expression": expression, "returnByValue": true });
        let result = self.call("Runtime.evaluate", parameters);
        assert!(
            result["exceptionDetails"].is_null(),
            "{expression}: {result}"
        );
        result["result"]["value"].clone()
    }

    /// A text that an expression has on the page.
    pub fn text(&mut self, expression: &str) -> String {
        let value = self.evaluate(expression);
        value
            .as_str()
            .unwrap_or_else(|| panic!("{expression}: {value}"))
            .to_owned()
    }

    /// Waits until an expression is true, over as many pages as it takes.
    pub fn until(&mut self, expression: &str) {
        let until = Instant::now() + PATIENCE;
        loop {
            if self.is_true(expression) {
                return;
            }
            assert!(Instant::now() < until, "never true: {expression}");
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    /// Clicks with the mouse into the middle of what a selector finds, and waits for the page that
    /// this leads to.
    pub fn click(&mut self, selector: &str) {
        let place = format!(
            "(() => {{ const found = document.querySelector({selector:?}); found.scrollIntoView();
             const box = found.getBoundingClientRect();
             return [box.x + box.width / 2, box.y + box.height / 2]; }})()"
        );
        let place = self.evaluate(&place);
        let before = self.loads;
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({
                "type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1,
            });
            self.call("Input.dispatchMouseEvent", event);
        }
        self.loaded_after(before);
    }

    /// Presses and releases a key: `Tab` or `Enter`.
    pub fn key(&mut self, key: &str) {
        let (code, text) = match key {
            "Tab" => (9, ""),
            "Enter" => (13, "\r"),
            other => panic!("{other} is not known here"),
        };
        let event = |kind: &str, text: &str| json!({ "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, "text": text });
        self.call("Input.dispatchKeyEvent", event("keyDown", text));
        self.call("Input.dispatchKeyEvent", event("keyUp", ""));
    }

    /// Keeps a picture of the whole page.
    pub fn picture(&mut self, name: &str) {
        let parameters = json!({ "format": "png", "captureBeyondViewport": true });
        let picture = self.call("Page.captureScreenshot", parameters);
        let data = picture["data"].as_str().unwrap();
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(data)
            .unwrap();
        std::fs::write(pictures().join(format!("{name}.png")), bytes).unwrap();
    }

    /// What the browser complained about since it was asked last.
    pub fn complaints(&mut self) -> Vec<String> {
        self.evaluate("1");
        std::mem::take(&mut self.complaints)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `target/screenshots`.
pub fn pictures() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"),
        PathBuf::from,
    );
    let folder = target.join("screenshots");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}
