"""The canonical keys of a batch: a plain dict of arrays (or tensors) over these names.

B structures hold N atoms and E directed edges in all; lengths are in Å, energies in eV, forces in
eV/Å.

============== ======== ======= ====== ==========================================================
key            shape    dtype   unit   meaning
============== ======== ======= ====== ==========================================================
``positions``  (N, 3)   float64 Å      Cartesian coordinates
``species``    (N,)     int64          index of the atom's element in ``Dataset.elements``
``edge_index`` (2, E)   int64          row 0: centre i, row 1: neighbour j, both atoms of the
                                       batch; the edge's vector is r_j − r_i; every pair within
                                       the cutoff appears in both directions, none with itself
``edge_shift`` (E, 3)   float64 Å      of datasets with periodic structures alone: the edge's
                                       vector is r_j − r_i plus this, and an atom may have edges
                                       to its own images
``structure``  (N,)     int64          index of the atom's structure in the batch, ascending
``n_atoms``    (B,)     int64          atoms of each structure
``energy``     (B,)     float64 eV     label
``forces``     (N, 3)   float   eV/Å   label
``head``       (B,)     int64          index of the head the structure's labels belong to
``weight``     (B,)     float          weight of the head's labels in the loss
``scale``      (B,)     float   eV     energy scale of the head: the unit of the network's output
============== ======== ======= ====== ==========================================================
"""

POSITIONS = "positions"
SPECIES = "species"
EDGE_INDEX = "edge_index"
EDGE_SHIFT = "edge_shift"
STRUCTURE = "structure"
N_ATOMS = "n_atoms"

ENERGY = "energy"
FORCES = "forces"
HEAD = "head"
WEIGHT = "weight"
SCALE = "scale"
