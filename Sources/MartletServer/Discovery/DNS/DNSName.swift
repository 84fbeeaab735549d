/// A name as its labels, letters in lower case: names are compared without their case (RFC 4343).
struct DNSName: Hashable, Sendable {
    var labels: [[UInt8]]

    init(labels: [[UInt8]]) { self.labels = labels }

    /// From a text that is known to be a host name; a dot at the end says nothing.
    init(_ text: String) {
        labels = text.split(separator: ".").map { Array($0.lowercased().utf8) }
    }

    static func + (a: DNSName, b: DNSName) -> DNSName { DNSName(labels: a.labels + b.labels) }

    func isBelowOrIs(_ domain: DNSName) -> Bool {
        labels.count >= domain.labels.count && labels.suffix(domain.labels.count).elementsEqual(domain.labels)
    }

    /// The labels in front of the domain, as texts; nil where one is not UTF-8.
    func labels(before domain: DNSName) -> [String]? {
        var texts: [String] = []
        for label in labels.dropLast(domain.labels.count) {
            guard let text = String(validating: label, as: UTF8.self) else { return nil }
            texts.append(text)
        }
        return texts
    }
}
