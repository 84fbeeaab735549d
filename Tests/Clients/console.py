"""The console in headless Chromium: against a real cluster of three, with what etcdctl does to it."""

import base64
import json
import re
import shutil
import time
import unittest
import urllib.parse

from support.browser import CHROMIUM, Browser
from support.processes import ETCD_DIRECTORY, MARTLET, Cluster, Member, member_id, run_to_end, scratch

ETCDCTL = ETCD_DIRECTORY / "etcdctl" if (ETCD_DIRECTORY / "etcdctl").exists() else shutil.which("etcdctl")

HOSTILE = '<img src=x onerror="window.hurt=1">'
#: A colon, an ampersand, a hash, a direction mark and a quote: in a key they go through addresses and attributes.
ODD = "odd/a&b#c?d%20e\u202e'\"</ol><script>window.hurt=1</script>"


def b64(text):
    return base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()


def name_of(member):
    return f"{member_id(member):x}"


@unittest.skipUnless(CHROMIUM, "chromium is not installed")
@unittest.skipUnless(ETCDCTL, "etcdctl is not installed")
class Console(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(MARTLET, "console").start().wait_ready()
        cls.members = cls.cluster.members
        cls.browser = Browser()

    @classmethod
    def tearDownClass(cls):
        cls.browser.close()
        cls.cluster.kill()

    def setUp(self):
        for member in self.members:
            if not member.is_running:
                member.start()
        self.page = self.browser.page()
        self.lost = set()

    def tearDown(self):
        """Whatever a test did, nobody else was asked and nothing went wrong in the page."""
        origins = {f"http://{member.endpoint}" for member in self.members}
        for url in self.page.requests:
            parts = urllib.parse.urlsplit(url)
            self.assertIn(f"{parts.scheme}://{parts.netloc}", origins, url)
        # A request to a member that was killed this very second fails, and the browser says so.
        bad = [
            (kind, text, url)
            for kind, text, url in self.page.complaints
            if not (kind == "network" and any(url.startswith(f"http://{endpoint}/") for endpoint in self.lost))
        ]
        self.assertEqual(bad, [])
        self.assertIsNone(self.page.evaluate("window.hurt ?? null"))
        self.browser.command("Target.closeTarget", targetId=self.page.target)

    def etcdctl(self, *arguments, member=0):
        code, out, err = run_to_end([ETCDCTL, f"--endpoints={self.members[member].endpoint}", *arguments])
        self.assertEqual(code, 0, err)
        return out

    def open(self, path="#/overview", member=0):
        self.page.open(f"http://{self.members[member].endpoint}/console/{path}")
        self.page.wait("document.querySelectorAll('.member').length === 3")

    def leader(self):
        running = [member for member in self.members if member.is_running]
        return next(member for member in running if self.status(member)["leader"] == name_of(member))

    def status(self, member):
        return json.loads(member.http("/console/data")[1])["own"]

    def role(self, member):
        return self.page.text(f'[data-member="{name_of(member)}"] .role')

    def wait_for_leader(self, member):
        self.page.wait(
            f"document.querySelector('[data-member=\"{name_of(member)}\"] .role').innerText === 'leader'", 20
        )

    # MARK: The overview

    def test_it_shows_the_cluster(self):
        leader = self.leader()
        for place in range(3):
            self.open(member=place)
            self.wait_for_leader(leader)
            names = self.page.evaluate("[...document.querySelectorAll('.member h2')].map(e => e.innerText).sort()")
            self.assertEqual(names, ["m1", "m2", "m3"])
            roles = sorted(self.role(member) for member in self.members)
            self.assertEqual(roles, ["follower", "follower", "leader"])
            self.page.wait("document.getElementById('standing').dataset.state === 'good'")
            self.assertIn(f"leader {leader.name} · 3 members", self.page.text("#standing"))
            self.assertIn("this page is from here", self.page.text(f'[data-member="{name_of(self.members[place])}"]'))
        # Every figure of every member is known: all of them were reached, the lag by the leader's account.
        self.page.wait("!document.getElementById('members').innerText.includes('–')")

    def test_it_follows_a_change_of_the_leader(self):
        before = self.leader()
        after = next(member for member in self.members if member is not before)
        self.open()
        self.wait_for_leader(before)
        self.etcdctl("move-leader", name_of(after), member=self.members.index(before))
        begin = time.monotonic()
        self.wait_for_leader(after)
        self.assertLess(time.monotonic() - begin, 5)
        self.page.wait(f"document.getElementById('standing').innerText.includes('leader {after.name}')")
        self.assertEqual(self.role(before), "follower")

    def test_charts_show_what_is_done(self):
        self.open()
        end = time.monotonic() + 4
        count = 0
        while time.monotonic() < end:
            self.members[1].http("/v3/kv/put", "POST", json.dumps({"key": b64("load"), "value": b64(str(count))}))
            self.members[2].http("/v3/kv/range", "POST", json.dumps({"key": b64("load")}))
            count += 1
        self.page.wait(
            "(([put]) => parseFloat(put.replace('\u202f', '')) >= 3)"
            "([...document.querySelectorAll('[data-chart=\"Writes\"] dd')].map(e => e.innerText))"
        )
        for chart in ("Reads", "Write latency", "Read latency", "Log sync", "Client traffic", "Database", "Memory"):
            figures = self.page.evaluate(
                f"[...document.querySelectorAll('[data-chart=\"{chart}\"] dd')].map(e => e.innerText)"
            )
            self.assertTrue(any(figure != "–" for figure in figures), (chart, figures))
            line = self.page.evaluate(f"document.querySelector('[data-chart=\"{chart}\"] path.line').getAttribute('d')")
            self.assertRegex(line, "^M.*L", chart)
        latency = self.page.text('[data-chart="Write latency"]')
        self.assertRegex(latency, r"p50\s+[\d.]+ (µs|ms)")

    def test_it_goes_on_when_a_member_dies(self):
        leader = self.leader()
        dead = next(member for member in self.members[1:] if member is not leader)
        self.open()
        self.page.wait("document.getElementById('standing').dataset.state === 'good'")
        self.lost.add(dead.endpoint)
        dead.kill()
        self.page.wait(f"document.querySelector('[data-member=\"{name_of(dead)}\"]').dataset.role === 'down'")
        self.page.wait("document.getElementById('standing').dataset.state === 'fair'")
        self.assertIn("2 of 3 members", self.page.text("#standing"))
        self.assertIn("no connection", self.page.text(f'[data-member="{name_of(dead)}"]'))
        # It is not asked again and again: that would be an error on the browser's console each second.
        count = len(self.page.complaints)
        self.assertLessEqual(count, 2)
        self.put("alive", "yes")
        time.sleep(3)
        self.browser.read(0)
        self.assertEqual(len(self.page.complaints), count)
        dead.start()
        self.page.wait("document.getElementById('standing').dataset.state === 'good'", 20)

    def test_it_says_that_there_is_no_leader(self):
        self.open()
        for member in self.members[1:]:
            self.lost.add(member.endpoint)
            member.kill()
        self.page.wait("document.getElementById('standing').dataset.state === 'bad'", 20)
        self.assertIn("no leader", self.page.text("#standing"))
        self.assertIn("There is no leader", self.page.text("#notices"))
        for member in self.members[1:]:
            member.start(wait=False)
        self.page.wait("document.getElementById('standing').dataset.state === 'good'", 30)
        self.assertEqual(self.page.text("#notices"), "")

    def test_it_says_when_its_own_member_is_gone(self):
        self.open()
        self.lost.add(self.members[0].endpoint)
        self.members[0].kill()
        self.page.wait("document.getElementById('notices').innerText.includes('does not answer')")
        self.members[0].start()
        self.page.wait("document.getElementById('standing').dataset.state === 'good'", 20)

    def test_an_alarm_is_told_and_disarmed(self):
        self.open()
        body = {"action": "ACTIVATE", "memberID": str(member_id(self.members[1])), "alarm": "NOSPACE"}
        self.members[0].http("/v3/maintenance/alarm", "POST", json.dumps(body))
        self.page.wait("document.querySelector('.alarm')?.innerText.includes('NOSPACE')")
        self.assertIn("m2 has used up its quota", self.page.text(".alarm"))
        self.page.wait("document.getElementById('standing').dataset.state === 'bad'")
        self.page.click(".alarm button")
        self.page.click("dialog button.danger")
        self.page.wait("document.querySelector('.alarm') === null")
        self.page.wait("document.getElementById('standing').dataset.state === 'good'")
        self.assertEqual(self.etcdctl("alarm", "list"), "")

    # MARK: Keys

    def put(self, key, value, member=0):
        self.etcdctl("put", "--", key, value, member=member)

    def get(self, key):
        found = json.loads(self.members[0].http("/v3/kv/range", "POST", json.dumps({"key": b64(key)}))[1]).get("kvs")
        return base64.b64decode(found[0].get("value", "")).decode() if found else None

    def rows(self):
        return self.page.evaluate("[...document.querySelectorAll('#rows .key')].map(e => e.innerText)")

    def open_key(self, key):
        self.open(f"#/keys?{urllib.parse.urlencode({'prefix': key, 'key': b64(key)})}")
        self.page.wait("document.querySelector('#edit') !== null")

    def test_a_put_of_etcdctl_is_seen_at_once(self):
        self.open("#/keys?prefix=live/")
        self.page.click("#watch")
        self.page.wait("document.getElementById('events-state').innerText.startsWith('watching')")
        self.put("live/one", "hello there", member=1)
        self.page.wait("document.getElementById('events').innerText.includes('hello there')", 3)
        self.assertIn("live/one", self.page.text("#events"))
        self.put("elsewhere", "unseen")
        self.etcdctl("del", "live/one", member=2)
        self.page.wait("document.querySelector('#events li b').innerText === 'delete'", 3)
        self.assertNotIn("unseen", self.page.text("#events"))
        self.page.click("#watch")
        self.page.wait("document.getElementById('events-panel').hidden")

    def test_a_watch_goes_on_after_a_restart(self):
        self.open("#/keys?prefix=held/")
        self.page.click("#watch")
        self.page.wait("document.getElementById('events-state').innerText.startsWith('watching')")
        self.lost.add(self.members[0].endpoint)
        self.members[0].kill()
        self.page.wait("document.getElementById('events-state').innerText.includes('opening again')")
        # With a leader of the others, whoever led before.
        deadline = time.monotonic() + 20
        while self.members[1].http("/health")[0] != 200 and time.monotonic() < deadline:
            time.sleep(0.1)
        for number in range(3):
            self.put(f"held/{number}", "while nobody looked", member=1)
        self.members[0].start()
        self.page.wait("document.querySelectorAll('#events li').length === 3", 20)
        keys = self.page.evaluate("[...document.querySelectorAll('#events .key')].map(e => e.innerText)")
        self.assertEqual(keys, ["held/2", "held/1", "held/0"])
        self.put("held/3", "again")
        self.page.wait("document.querySelectorAll('#events li').length === 4")

    def test_search_by_prefix_and_pages(self):
        for number in range(60):
            body = {"key": b64(f"many/{number:03}"), "value": b64("x")}
            self.members[0].http("/v3/kv/put", "POST", json.dumps(body))
        self.open("#/keys")
        self.page.press("/")
        self.page.wait("document.activeElement.id === 'prefix'")
        self.page.type("#prefix", "many/")
        self.page.press("Enter", windowsVirtualKeyCode=13, text="\r")
        self.page.wait("document.querySelectorAll('#rows button').length === 50")
        self.assertEqual(self.page.text("#count"), "50 of 60")
        self.page.click("#more")
        self.page.wait("document.querySelectorAll('#rows button').length === 60")
        self.assertEqual(self.rows(), [f"many/{number:03}" for number in range(60)])
        self.page.wait("document.getElementById('more').hidden")
        self.page.type("#prefix", "nothing/")
        self.page.click("#search button[type=submit]")
        self.page.wait("document.getElementById('rows').innerText === 'No keys.'")

    def test_history_of_a_key(self):
        for number in range(4):
            self.put("past/a", f"value {number}")
        self.open_key("past/a")
        self.page.click("#history")
        self.page.wait("document.querySelectorAll('#versions li').length === 4")
        self.page.wait("document.getElementById('detail').innerText.includes('Created at revision')")
        self.assertEqual(
            self.page.evaluate("[...document.querySelectorAll('#versions .preview')].map(e => e.innerText)"),
            ["value 3", "value 2", "value 1", "value 0"],
        )
        revision = re.search(r"revision (\d+)", self.page.text("#versions li:nth-child(2)"))[1]
        self.etcdctl("compaction", revision)
        self.open_key("past/a")
        self.page.click("#history")
        self.page.wait("document.getElementById('detail').innerText.includes('has been compacted')")
        self.assertEqual(self.page.evaluate("document.querySelectorAll('#versions li').length"), 2)

    def test_an_edit_is_saved_if_nobody_else_was_quicker(self):
        self.put("edited", "first")
        self.open_key("edited")
        self.page.click("#edit")
        self.page.type("#editor", "mine")
        self.page.click("#save")
        self.page.wait("document.getElementById('detail').innerText.includes('Saved at revision')")
        self.assertEqual(self.get("edited"), "mine")
        self.page.click("#edit")
        self.page.type("#editor", "mine again")
        self.put("edited", "theirs")
        self.page.click("#save")
        self.page.wait("document.getElementById('conflict') !== null")
        self.assertIn("theirs", self.page.text("#conflict"))
        self.assertEqual(self.get("edited"), "theirs")
        self.page.click("#rebase")
        self.page.wait("document.getElementById('conflict') === null && document.getElementById('editor') !== null")
        self.assertEqual(self.page.evaluate("document.getElementById('editor').value"), "mine again")
        self.assertEqual(self.page.evaluate("document.querySelectorAll('#rows button').length"), 1)
        self.page.click("#save")
        self.page.wait("document.getElementById('detail').innerText.includes('Saved at revision')")
        self.assertEqual(self.get("edited"), "mine again")

    def test_a_key_is_made_once_and_deleted_when_asked_twice(self):
        self.open("#/keys?prefix=made")
        self.page.click("#create")
        self.page.type("dialog input", "made")
        self.page.type("dialog textarea", "by hand")
        self.page.click("dialog button.primary")
        self.page.wait("document.querySelector('#detail .value')?.innerText === 'by hand'")
        self.page.click("#create")
        self.page.type("dialog input", "made")
        self.page.type("dialog textarea", "again")
        self.page.click("dialog button.primary")
        self.page.wait("document.getElementById('detail').innerText.includes('there is such a key already')")
        self.assertEqual(self.get("made"), "by hand")
        self.page.click("#delete")
        self.page.click("dialog button[type=button]")
        self.assertEqual(self.get("made"), "by hand")
        self.page.click("#delete")
        self.page.click("dialog button.danger")
        self.page.wait("document.getElementById('rows').innerText === 'No keys.'")
        self.assertIsNone(self.get("made"))

    def test_a_lease_stays_with_an_edited_key(self):
        lease = self.etcdctl("lease", "grant", "600").split()[1]
        self.etcdctl("put", f"--lease={lease}", "leased/a", "x")
        self.open_key("leased/a")
        self.page.click("#edit")
        self.page.type("#editor", "y")
        self.page.click("#save")
        self.page.wait("document.getElementById('detail').innerText.includes('Saved at revision')")
        self.page.evaluate("location.hash = '#/leases'")
        row = f'[data-lease="{int(lease, 16):x}"]'
        self.page.wait(f"document.querySelector('{row}')?.innerText.includes('leased/a')")
        self.page.click(f"{row} button")
        self.page.wait("document.querySelector('dialog').innerText.includes('1 key will be deleted')")
        self.page.click("dialog button.danger")
        self.page.wait(f"document.querySelector('{row}') === null")
        self.assertIsNone(self.get("leased/a"))

    # MARK: Hostile and odd ones

    def test_keys_and_values_stay_text(self):
        for key in (HOSTILE, ODD):
            self.put(key, f"value of {HOSTILE}")
        self.open("#/keys?prefix=%3C")
        self.page.click("#watch")
        self.page.wait("document.getElementById('events-state').innerText.startsWith('watching')")
        self.page.wait("document.querySelectorAll('#rows button').length === 1")
        self.assertEqual(self.rows(), [HOSTILE])
        self.page.click("#rows button")
        self.page.wait("document.querySelector('#detail .value') !== null")
        self.assertEqual(self.page.text(".key-title"), HOSTILE)
        self.page.click("#history")
        self.put(HOSTILE, f"again {HOSTILE}")
        self.page.wait("document.getElementById('events').innerText.includes('again')")
        self.open("#/keys?prefix=odd/")
        self.page.wait("document.querySelectorAll('#rows button').length === 1")
        self.page.click("#rows button")
        self.page.wait("document.querySelector('#detail .value') !== null")
        # What would turn the text round is shown as what it is.
        self.assertEqual(self.page.text(".key-title"), ODD.replace("\u202e", r"\xe2\x80\xae"))
        self.assertEqual(self.page.evaluate("document.querySelectorAll('main img, main script').length"), 0)

    def test_what_is_no_text(self):
        key = b"bin/\x00\xff"
        body = {"key": b64(key), "value": b64(bytes(range(256)))}
        self.members[0].http("/v3/kv/put", "POST", json.dumps(body))
        self.open("#/keys?prefix=bin/")
        self.page.wait("document.querySelectorAll('#rows button').length === 1")
        self.assertEqual(self.rows(), [r"bin/\x00\xff"])
        self.page.click("#rows button")
        self.page.wait("document.querySelector('#detail .value')?.innerText.startsWith('000000  00 01 02')")
        self.page.click("#edit")
        self.page.wait("document.getElementById('detail').innerText.includes('not text')")

    # MARK: Functions

    def run_module(self, name, expression):
        return self.page.evaluate(f"import('./{name}').then((m) => ({expression}))")

    def test_quantiles_and_rates(self):
        self.open()
        # All of 1,000 in one bucket, which begins at 1 ms and ends a quarter of an octave later.
        buckets = "Array.from({length: 29}, (_, b) => b === 28 ? 1000 : 0)"
        half = self.run_module("model.js", f"m.quantile({buckets}, 0.5)")
        low = (4 + 28 % 4) << (11 + 28 // 4)
        self.assertAlmostEqual(half, low * 1.125, delta=1)
        self.assertIsNone(self.run_module("model.js", "m.quantile([0, 0], 0.5)"))
        sample = "(at, puts, uptime) => ({atNanoseconds: at * 1e9, own: {id: 'a', uptimeSeconds: uptime}, traffic: {"
        sample += "calls: {put: {ended: puts, failed: 0}}, receivedBytes: 0, sentBytes: 0, watchMessages: 0},"
        sample += "process: {cpuSeconds: 0}, times: {syncCount: 0, syncNanoseconds: 0, writes: [puts], reads: []}})"
        call = f"((s) => m.between(s(10, 100, 50), s(12, 300, 52))?.puts ?? null)({sample})"
        self.assertEqual(self.run_module("model.js", call), 100)
        # Started anew meanwhile: there is no rate.
        call = f"((s) => m.between(s(10, 100, 50), s(12, 3, 1))?.puts ?? null)({sample})"
        self.assertIsNone(self.run_module("model.js", call))

    def test_ends_of_prefixes(self):
        self.open()
        for prefix, end in [("[97]", [98]), ("[97, 255]", [98]), ("[255, 255]", [0]), ("[]", [0])]:
            found = self.run_module("api.js", f"[...m.endOf(new Uint8Array({prefix}))]")
            self.assertEqual(found, end, prefix)

    def test_services(self):
        hostile = "<img src=x onerror=alert(1)>"
        for service, id, more in [
            ("web", "w1", {"tags": ["blue"], "meta": {"note": hostile}}), ("web", "w2", {"weight": 7}),
            ("db", "d1", {"address": "::1"}),
        ]:
            record = {"address": "10.0.0.1", "port": 8080, "ttl": "60s", **more}
            code, _, _ = run_to_end(
                ["curl", "-sf", "-X", "PUT", f"http://{self.members[0].endpoint}/service/{service}/{id}",
                 "-d", json.dumps(record)])
            self.assertEqual(code, 0, (service, id))
        self.open("#/services")
        text = "document.getElementById('service-rows').innerText"
        self.page.wait(f"{text}.includes('w2')")
        shown = self.page.evaluate(text)
        for part in ("web", "2 instances", "10.0.0.1:8080", "[::1]:8080", "blue", "passing", hostile, "its owner"):
            self.assertIn(part, shown)
        self.assertFalse(self.page.evaluate("document.querySelector('#service-rows img') !== null"))
        run_to_end(["curl", "-s", "-X", "DELETE", f"http://{self.members[0].endpoint}/service/web/w2"])
        self.page.wait(f"!{text}.includes('w2')")

    # MARK: Other screens

    def test_it_fits_a_phone_and_a_small_window(self):
        for width in (360, 1000):
            self.page.resize(width, 800, mobile=width < 500)
            for part in ("overview", "keys", "leases"):
                self.open(f"#/{part}")
                wide = self.page.evaluate("document.documentElement.scrollWidth")
                self.assertLessEqual(wide, width, part)

    def test_everything_has_a_name(self):
        """What a screen reader calls it."""
        self.put("named", "x")
        self.open_key("named")
        nodes = self.page.command("Accessibility.getFullAXTree")["nodes"]
        for node in nodes:
            role = node.get("role", {}).get("value")
            if role in ("button", "link", "textbox", "searchbox") and not node.get("ignored"):
                self.assertTrue(node.get("name", {}).get("value"), node)


@unittest.skipUnless(CHROMIUM, "chromium is not installed")
class OneMember(unittest.TestCase):
    def test_without_a_gateway(self):
        member = Member(MARTLET, "plain", scratch("plain"), extra=["--enable-grpc-gateway=false"]).start()
        try:
            with Browser() as browser:
                page = browser.page(dark=True)
                page.open(f"http://{member.endpoint}/console")
                page.wait("document.getElementById('notices').innerText.includes('--enable-grpc-gateway')")
                page.wait("document.querySelector('.member .role').innerText === 'leader'")
                self.assertEqual(page.complaints, [])
        finally:
            member.kill()

    @unittest.skipUnless(shutil.which("curl"), "curl is not installed")
    def test_heads_and_tags(self):
        member = Member(MARTLET, "heads", scratch("heads")).start()
        try:
            for version in ("--http1.1", "--http2-prior-knowledge"):
                for path in ("/console/", "/console/data", "/metrics"):
                    curl = ["curl", "-s", "--max-time", "10", version, f"http://{member.endpoint}{path}"]
                    code, head, _ = run_to_end([*curl, "-I"])
                    self.assertEqual(code, 0, (version, path))
                    self.assertRegex(head, r"^HTTP/\S+ 200")
                    self.assertRegex(head.lower(), r"content-length: [1-9]")
                tag = re.search(r"etag: (\S+)", run_to_end(["curl", "-sI", f"http://{member.endpoint}/console/"])[1])[1]
                page = ["curl", "-s", "-D-", version, f"http://{member.endpoint}/console/"]
                answer = run_to_end([*page, "-H", f"If-None-Match: {tag}"])[1]
                self.assertRegex(answer, r"^HTTP/\S+ 304[^<]*$")
        finally:
            member.kill()

    def test_none(self):
        member = Member(MARTLET, "none", scratch("none"), extra=["--enable-console=false"]).start()
        try:
            for path in ("/console", "/console/", "/console/data", "/console/console.js"):
                self.assertEqual(member.http(path)[0], 404, path)
        finally:
            member.kill()


if __name__ == "__main__":
    unittest.main()
