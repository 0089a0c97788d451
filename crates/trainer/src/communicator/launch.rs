//! What started this process, and beside how many others.

/// A launcher's word on the processes that it started together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Launch {
    /// The launcher, as `mpirun`.
    pub by: &'static str,
    /// This process among all, from 0.
    pub rank: usize,
    /// Processes in all.
    pub size: usize,
    /// Those on this machine, as far as the launcher says.
    pub local_size: usize,
    /// This one among those on this machine.
    pub local_rank: usize,
}

/// Launchers by the variables of the environment that they set: this process, all processes, those on this machine,
/// this one among them. Slurm sets its own beside those of the MPI library.
const LAUNCHERS: [(&str, [&str; 4]); 3] = [
    (
        "mpirun",
        [
            "OMPI_COMM_WORLD_RANK",
            "OMPI_COMM_WORLD_SIZE",
            "OMPI_COMM_WORLD_LOCAL_SIZE",
            "OMPI_COMM_WORLD_LOCAL_RANK",
        ],
    ),
    ("mpiexec", ["PMI_RANK", "PMI_SIZE", "MPI_LOCALNRANKS", "MPI_LOCALRANKID"]),
    (
        "srun",
        ["SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_STEP_TASKS_PER_NODE", "SLURM_LOCALID"],
    ),
];

impl Launch {
    /// Who started this process; `None` if it was started by itself.
    pub fn found() -> Option<Self> {
        Self::among(|name| std::env::var(name).ok())
    }

    fn among(variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        // `2(x3)` is Slurm's way to say two on each of three machines.
        let number = |name: &str| -> Option<usize> {
            variable(name)?.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
        };
        // Slurm starts processes for MPI libraries whose own launchers set these as well.
        let local = |at: usize| LAUNCHERS.iter().find_map(|(_, names)| number(names[at]));
        LAUNCHERS.iter().find_map(|(by, [rank, size, ..])| {
            let (rank, size) = (number(rank)?, number(size)?);
            Some(Self {
                by,
                rank,
                size,
                local_size: local(2).unwrap_or(1).clamp(1, size.max(1)),
                local_rank: local(3).unwrap_or(0),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn launchers_are_known_by_what_they_set() {
        let found = |set: &[(&str, &str)]| {
            Launch::among(|name| {
                set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
            })
        };
        assert_eq!(found(&[("PATH", "/bin")]), None);
        let launch = |by, rank, size, local_size, local_rank| {
            Some(Launch { by, rank, size, local_size, local_rank })
        };
        let openmpi = [
            ("OMPI_COMM_WORLD_RANK", "3"),
            ("OMPI_COMM_WORLD_SIZE", "4"),
            ("OMPI_COMM_WORLD_LOCAL_SIZE", "2"),
            ("OMPI_COMM_WORLD_LOCAL_RANK", "1"),
            ("SLURM_STEP_NUM_TASKS", "1"),
        ];
        assert_eq!(found(&openmpi), launch("mpirun", 3, 4, 2, 1));
        let mpich = [
            ("PMI_RANK", "2"),
            ("PMI_SIZE", "3"),
            ("MPI_LOCALNRANKS", "3"),
            ("MPI_LOCALRANKID", "2"),
        ];
        assert_eq!(found(&mpich), launch("mpiexec", 2, 3, 3, 2));
        let slurm = [
            ("SLURM_PROCID", "5"),
            ("SLURM_STEP_NUM_TASKS", "6"),
            ("SLURM_STEP_TASKS_PER_NODE", "2(x3)"),
            ("SLURM_LOCALID", "1"),
        ];
        assert_eq!(found(&slurm), launch("srun", 5, 6, 2, 1));
        assert_eq!(found(&[("PMI_RANK", "0"), ("PMI_SIZE", "2")]), launch("mpiexec", 0, 2, 1, 0));
        let slurm_for_mpich = [
            ("PMI_RANK", "3"),
            ("PMI_SIZE", "4"),
            ("SLURM_PROCID", "3"),
            ("SLURM_STEP_NUM_TASKS", "4"),
            ("SLURM_STEP_TASKS_PER_NODE", "2(x2)"),
            ("SLURM_LOCALID", "1"),
        ];
        assert_eq!(found(&slurm_for_mpich), launch("mpiexec", 3, 4, 2, 1));
        assert_eq!(found(&[("PMI_RANK", "0"), ("PMI_SIZE", "many")]), None);
    }
}
