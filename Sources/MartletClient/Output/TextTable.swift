/// A table as etcdctl draws it: headings centred, cells to the right.
package struct TextTable {
    private let headings: [String]
    private var rows: [[String]] = []

    package init(_ headings: [String]) { self.headings = headings }

    package mutating func append(_ row: [String]) {
        precondition(row.count == headings.count, "a row with \(row.count) cells below \(headings.count) headings")
        rows.append(row)
    }

    package var text: String {
        let widths = headings.indices.map { column in
            ([headings] + rows).map { $0[column].count }.max()!
        }
        let rule = "+" + widths.map { String(repeating: "-", count: $0 + 2) }.joined(separator: "+") + "+\n"
        func line(_ cells: [String], _ place: (String, Int) -> String) -> String {
            "|" + zip(cells, widths).map { " " + place($0, $1) + " " }.joined(separator: "|") + "|\n"
        }
        func blanks(_ count: Int) -> String { String(repeating: " ", count: count) }
        let heading = line(headings) { cell, width in
            let left = (width - cell.count) / 2
            return blanks(left) + cell + blanks(width - cell.count - left)
        }
        let body = rows.map { line($0) { cell, width in blanks(width - cell.count) + cell } }.joined()
        return rule + heading + rule + body + rule
    }
}
