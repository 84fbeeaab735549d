/// Finds what may have been meant by a word that is not known.
package enum Suggestion {
    /// The candidate that fewest changed, missing and added letters separate from `word`; nil where all are too far
    /// off.
    package static func nearest(to word: String, among candidates: [String]) -> String? {
        let limit = max(2, word.count / 3)
        var best: (candidate: String, distance: Int, letters: Int)?
        for candidate in candidates {
            let letters = editDistance(Array(word.utf8), Array(candidate.utf8))
            var distance = letters
            // A word that was cut short, or misses one of its parts, is nearer than its missing letters say.
            if word.count >= 4, candidate.hasPrefix(word) || candidate.hasSuffix(word) { distance = min(distance, 2) }
            let parts = candidate.split(separator: "-")
            if word.contains("-"), word.split(separator: "-").allSatisfy(parts.contains) { distance = min(distance, 2) }
            guard distance <= limit else { continue }
            if let best, (best.distance, best.letters) <= (distance, letters) { continue }
            best = (candidate, distance, letters)
        }
        return best?.candidate
    }

    /// Levenshtein's distance, one row at a time.
    static func editDistance(_ first: [UInt8], _ second: [UInt8]) -> Int {
        var row = Array(0...second.count)
        for (i, letter) in first.enumerated() {
            var diagonal = row[0]
            row[0] = i + 1
            for (j, other) in second.enumerated() {
                let above = row[j + 1]
                row[j + 1] = min(above + 1, row[j] + 1, diagonal + (letter == other ? 0 : 1))
                diagonal = above
            }
        }
        return row[second.count]
    }
}
