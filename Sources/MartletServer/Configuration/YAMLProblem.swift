import Yams

/// What is wrong with a file that is no YAML, and where, on one line: Yams's own text quotes the file over several.
enum YAMLProblem {
    static func describe(_ error: any Error) -> String {
        guard let error = error as? YamlError else { return oneLine("\(error)") }
        switch error {
        case .scanner(let context, let problem, let mark, _), .parser(let context, let problem, let mark, _),
            .composer(let context, let problem, let mark, _):
            return at(mark.line, mark.column, problem, context?.text)
        case .reader(let problem, let offset, _, let text):
            guard let offset else { return oneLine(problem) }
            let (line, column) = position(of: offset, in: text)
            return at(line, column, problem, nil)
        case .duplicatedKeysInMapping(let keys, let context):
            let names = keys.sorted().map { "\"\($0)\"" }.joined(separator: ", ")
            return at(context.mark.line, context.mark.column, "more than one value for \(names)", nil)
        default: return oneLine("\(error)")
        }
    }

    private static func at(_ line: Int, _ column: Int, _ problem: String, _ context: String?) -> String {
        oneLine("line \(line), column \(column): \(problem)" + (context.map { " " + $0 } ?? ""))
    }

    /// Of the character at the offset; both from 1 up.
    private static func position(of offset: Int, in text: String) -> (line: Int, column: Int) {
        var (line, column) = (1, 1)
        for character in text.prefix(offset) {
            if character.isNewline {
                line += 1
                column = 1
            } else {
                column += 1
            }
        }
        return (line, column)
    }

    private static func oneLine(_ text: String) -> String {
        text.split(whereSeparator: \.isNewline).joined(separator: " ")
    }
}
