//! In which order cases are run: the narrowest question first. A kernel with a mistake may not live
//! long; what it says before it dies should name the mistake.

use super::column::Column;
use super::kind::Kind;
use super::movers::Trigger;
use super::special::Special;
use super::{LinuxCase, What};

/// When a case has its turn: the least one first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Turn {
    /// One question, about pages of its own.
    Question,
    /// Pages of its own are moved, and whoever likes gets in the way.
    OwnPages,
    /// Pages of others move with them: memory is compacted, or has to make room.
    AllMemory,
    /// The program that runs the case moves with them, its text and all.
    Itself,
    /// Frames are taken for good: memory that has lost one does not come online again.
    ForGood,
}

impl LinuxCase {
    /// When it has its turn.
    pub fn turn(&self) -> Turn {
        match self.what {
            What::Special(Special { name: "text", .. }) => Turn::Itself,
            What::Special(special) if special.kind.is_huge() => Turn::AllMemory,
            What::Special(_) => Turn::Question,
            What::Cell(kind, trigger, column) => cell(kind, trigger, column),
        }
    }
}

fn cell(kind: Kind, trigger: Trigger, column: Column) -> Turn {
    match trigger {
        // (Memory goes offline with whatever is in it.)
        Trigger::MigratePages | Trigger::Cpuset | Trigger::Offline => Turn::Itself,
        Trigger::SoftOffline => Turn::ForGood,
        Trigger::Compaction => Turn::AllMemory,
        // Memory is compacted before huge pages are made.
        _ if kind.is_huge() || column == Column::DropCaches => Turn::AllMemory,
        Trigger::MovePages | Trigger::Mbind | Trigger::LongtermPin => Turn::OwnPages,
    }
}

#[cfg(test)]
mod tests {
    use super::super::cases;
    use super::*;

    #[test]
    fn what_moves_the_program_itself_comes_last_and_questions_first() {
        let turn = |name: &str| cases().iter().find(|case| case.name == name).unwrap().turn();
        assert_eq!(turn("special/fork-anon"), Turn::Question);
        assert_eq!(turn("anon/move-pages/writers"), Turn::OwnPages);
        assert_eq!(turn("special/fork-thp"), Turn::AllMemory);
        assert_eq!(turn("ext4-dirty/compaction/writers"), Turn::AllMemory);
        assert_eq!(turn("anon/migrate-pages/writers"), Turn::Itself);
        assert_eq!(turn("special/text"), Turn::Itself);
        assert!(Turn::Question < Turn::OwnPages && Turn::AllMemory < Turn::Itself);
        assert!(turn("anon/offline/writers") < turn("anon/soft-offline/writers"));
        // Of a page in a wrong slot of the swap cache the first one names it; the second can hang.
        let at = |name: &str| cases().iter().position(|case| case.name == name).unwrap();
        assert!(at("special/swap-shared") < at("special/swap-stored"));
    }
}
