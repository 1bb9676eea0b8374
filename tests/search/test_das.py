from its.search.das import DAS
from its.search.tds import TDS


def test_das_is_tds_with_tempering_ssp_and_half_the_particles(lab):
    """Its law, identities and refusals are tested in test_tds.py."""
    das = DAS(strength=2.0, particles=3)
    tds = TDS(2.0, tempering=0.008, resampler="ssp", ess=0.5, final="heaviest", particles=3)
    assert vars(das) == vars(tds)
    assert das.guidance == tds.guidance
