import MartletClient
import Testing

struct GoTextTests {
    @Test(arguments: [
        (Duration.zero, "0s"), (.nanoseconds(7), "7ns"), (.nanoseconds(1_500), "1.5µs"),
        (.nanoseconds(3_512_191), "3.512191ms"),
        (.milliseconds(2), "2ms"), (.nanoseconds(1_000_375_651), "1.000375651s"), (.seconds(5), "5s"),
        (.milliseconds(60_500), "1m0.5s"), (.seconds(3_600), "1h0m0s"), (.seconds(5_415), "1h30m15s"),
        (.milliseconds(-5), "-5ms"),
    ])
    func `durations are printed as Go prints them`(duration: Duration, expected: String) {
        #expect(GoText.duration(duration) == expected)
    }

    @Test(
        arguments: [
            (0, "0 B"), (9, "9 B"), (10, "10 B"), (999, "999 B"), (1_000, "1.0 kB"), (1_050, "1.1 kB"),
            (9_949, "9.9 kB"),
            (16_384, "16 kB"), (20_480, "20 kB"), (24_576, "25 kB"), (1_500_000, "1.5 MB"), (2_147_483_648, "2.1 GB"),
        ] as [(Int64, String)])
    func `sizes are printed as etcdctl prints them`(count: Int64, expected: String) {
        #expect(GoText.byteCount(count) == expected)
    }

    @Test func `bytes are quoted as Go's %q quotes them`() {
        #expect(GoText.quoted("foo") == "\"foo\"")
        #expect(GoText.quoted("a\tb\"c\\ü\u{a0}🗝<>&") == #""a\tb\"c\\ü\u00a0🗝<>&""#)
        #expect(GoText.quoted("\u{07}\u{08}\u{0c}\n\r\u{0b}\u{00}\u{1f}\u{7f}") == #""\a\b\f\n\r\v\x00\x1f\x7f""#)
        #expect(GoText.quoted([0x61, 0xff, 0xc3, 0x62]) == #""a\xff\xc3b""#)
        #expect(GoText.quoted("\u{200b}\u{e000}\u{10ffff}") == #""\u200b\ue000\U0010ffff""#)
        #expect(GoText.quoted("") == "\"\"")
    }

    @Test(arguments: [
        ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
        ("foobar", "Zm9vYmFy"), ("\u{3ff}\u{3fe}", "z7/Pvg=="),
    ])
    func `Base64 is RFC 4648's`(text: String, expected: String) {
        #expect(GoText.base64(Array(text.utf8)) == expected)
    }

    @Test func `JSON strings are escaped as Go escapes them`() {
        #expect(GoText.json("a\"b\\c\n\t\r<>&\u{01}ü\u{2028}") == #""a\"b\\c\n\t\r\u003c\u003e\u0026\u0001ü\u2028""#)
    }

    @Test func `hexadecimal bytes have their prefix`() {
        #expect(String(decoding: GoText.hexEscaped([0x66, 0x0f, 0xff]), as: UTF8.self) == #"\x66\x0f\xff"#)
        #expect(GoText.hex(0x8211_f1d0_f64f_3269) == "8211f1d0f64f3269")
    }
}
