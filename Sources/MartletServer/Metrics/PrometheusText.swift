import NIOCore

/// Prometheus' text format, version 0.0.4.
enum PrometheusText {
    static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    static func render(_ families: [MetricFamily]) -> ByteBuffer {
        var text = ""
        text.reserveCapacity(64 << 10)
        for family in families {
            let samples = family.samples()
            // A family without samples says nothing, as in Prometheus' own libraries.
            guard !samples.isEmpty else { continue }
            text += "# HELP \(family.name) \(escaped(family.help, quotes: false))\n"
            text += "# TYPE \(family.name) \(family.kind.rawValue)\n"
            for sample in samples {
                switch sample.value {
                case .number(let value): line(family.name, sample.labels, value, to: &text)
                case .histogram(let histogram): render(histogram, family.name, sample.labels, to: &text)
                }
            }
        }
        return ByteBuffer(string: text)
    }

    private static func render(
        _ histogram: HistogramValue, _ name: String, _ labels: MetricFamily.Labels, to text: inout String
    ) {
        var total: UInt64 = 0
        for (bucket, count) in histogram.counts.enumerated() {
            total += count
            let bound = bucket < histogram.bounds.count ? number(histogram.bounds[bucket]) : "+Inf"
            line(name + "_bucket", labels + [("le", bound)], Double(total), to: &text)
        }
        line(name + "_sum", labels, histogram.sum, to: &text)
        line(name + "_count", labels, Double(total), to: &text)
    }

    private static func line(_ name: String, _ labels: MetricFamily.Labels, _ value: Double, to text: inout String) {
        text += name
        if !labels.isEmpty {
            text += "{"
            for (index, label) in labels.enumerated() {
                if index > 0 { text += "," }
                text += "\(label.name)=\"\(escaped(label.value, quotes: true))\""
            }
            text += "}"
        }
        text += " "
        text += number(value)
        text += "\n"
    }

    static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        if value == value.rounded(), abs(value) < 1e18 { return String(Int64(value)) }
        return value.description
    }

    private static func escaped(_ text: String, quotes: Bool) -> String {
        guard text.contains(where: { $0 == "\\" || $0 == "\n" || $0 == "\"" }) else { return text }
        var escaped = ""
        for character in text {
            switch character {
            case "\\": escaped += "\\\\"
            case "\n": escaped += "\\n"
            case "\"": escaped += quotes ? "\\\"" : "\""
            default: escaped.append(character)
            }
        }
        return escaped
    }
}
