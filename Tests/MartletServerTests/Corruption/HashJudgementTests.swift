import Testing

@testable import MartletServer

@Suite struct HashJudgementTests {
    /// Members are numbered from 1.
    private func judge(_ hashes: [UInt32], of members: Int) -> HashJudgement {
        HashJudgement(hashes.enumerated().map { (UInt64($0.offset + 1), $0.element) }, of: members)
    }

    @Test func `the same is the same, however many answered`() {
        #expect(judge([5], of: 1) == .alike)
        #expect(judge([5], of: 3) == .alike)
        #expect(judge([5, 5, 5], of: 3) == .alike)
        #expect(judge([], of: 3) == .alike)
    }

    @Test func `who has not what most have is named`() {
        #expect(judge([5, 5, 6], of: 3) == .differing([3]))
        #expect(judge([6, 5, 5], of: 3) == .differing([1]))
        #expect(judge([6, 5, 5, 7, 5], of: 5) == .differing([1, 4]))
    }

    @Test func `less than a majority of all members proves nothing about who is right`() {
        #expect(judge([5, 6], of: 2) == .undecided)
        #expect(judge([5, 6], of: 3) == .undecided)
        #expect(judge([5, 5, 6], of: 5) == .undecided)
        #expect(judge([5, 5, 6, 6], of: 4) == .undecided)
        #expect(judge([5, 6, 7], of: 3) == .undecided)
    }
}
