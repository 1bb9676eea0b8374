"""Names of classes and loaders that outlive every move of a module.

A run's folder is named by what decides its images, and a class counts there by its recorded name. Whoever moves or
renames a class puts the new dotted name in front of the old ones; the recorded name stays. A class from outside `its`
counts by its dotted name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

NAMES: dict[str, tuple[str, ...]] = {
    "budget": ("its.budget.Budget",),
    "classifier/adm": ("its.classifier.adm.load",),
    "classifier/aesthetic": ("its.classifier.aesthetic.load",),
    "classifier/cifar_resnet": ("its.classifier.cifar_resnet.load", "its.model.cifar_resnet.load"),
    "classifier/clip": ("its.classifier.clip.load",),
    "classifier/digits": ("its.classifier.digits.load", "its.model.digits.load"),
    "classifier/dino": ("its.classifier.dino.load",),
    "classifier/hps3": ("its.classifier.hps3.load",),
    "classifier/hub": ("its.classifier.hub_classifier.load", "its.model.hub_classifier.load"),
    "classifier/hps": ("its.classifier.hps.load",),
    "classifier/image_features": ("its.classifier.image_features.load",),
    "classifier/image_reward": ("its.classifier.image_reward.load",),
    "classifier/image_text": ("its.classifier.image_text.load",),
    "classifier/mixture": ("its.dataset.mixture.bayes_classifier",),
    "classifier/qwen_vl": ("its.classifier.qwen_vl.load",),
    "classifier/soft_tifa": ("its.classifier.soft_tifa.load",),
    "classifier/unified_reward": ("its.classifier.unified_reward.load",),
    "dataset/cifar": ("its.dataset.cifar.Cifar",),
    "dataset/class_order": ("its.dataset.classes.ClassOrder", "its.dataset.classes.Schedule"),
    "dataset/classes": ("its.dataset.classes.Classes",),
    "dataset/digits": ("its.dataset.digits.Digits",),
    "dataset/folder": ("its.dataset.folder.Folder",),
    "dataset/mixture": ("its.dataset.mixture.Mixture",),
    "dataset/npz": ("its.dataset.npz.Npz",),
    "dataset/prompt": ("its.dataset.prompts.Prompt",),
    "dataset/prompts": ("its.dataset.prompts.Prompts",),
    "extractor/beside": ("its.metric.beside.Beside",),
    "extractor/dinov2": ("its.metric.dinov2.Dinov2Features",),
    "extractor/inception": ("its.metric.inception.InceptionFeatures",),
    "extractor/mixture": ("its.metric.extractor.MixtureFeatures",),
    "extractor/network": ("its.metric.extractor.NetworkFeatures",),
    "extractor/thumbnail": ("its.metric.thumbnail.Thumbnail",),
    "guidance/cg": ("its.guidance.cg.CG",),
    "guidance/dps": ("its.guidance.dps.DPS",),
    "guidance/freedom": ("its.guidance.freedom.FreeDoM",),
    "guidance/lgd": ("its.guidance.lgd.LGD",),
    "guidance/mpgd": ("its.guidance.mpgd.MPGD",),
    "guidance/none": ("its.guidance.none.NoGuidance",),
    "guidance/tfg": ("its.guidance.tfg.TFG",),
    "guidance/ugd": ("its.guidance.ugd.UGD",),
    "metric/accuracy": ("its.metric.accuracy.Accuracy",),
    "metric/class_fid": ("its.metric.class_fid.ClassFid",),
    "metric/fid": ("its.metric.fid.Fid",),
    "metric/isc": ("its.metric.isc.InceptionScore",),
    "metric/kid": ("its.metric.kid.Kid",),
    "metric/openai_isc": ("its.metric.isc.OpenAIInceptionScore",),
    "metric/pairwise": ("its.metric.pairwise.PairwiseDistance",),
    "metric/prc": ("its.metric.prc.PrecisionRecall",),
    "metric/second_fd": ("its.metric.second_fd.SecondFd",),
    "metric/sfid": ("its.metric.sfid.SFid",),
    "model/dit": ("its.model.dit.load",),
    "model/edm": ("its.model.edm.load",),
    "model/flux": ("its.model.flux.load",),
    "model/flux2": ("its.model.flux2.load",),
    "model/lcm": ("its.model.lcm.load",),
    "model/lightningdit": ("its.model.lightningdit.load",),
    "model/mixture": ("its.model.mixture.MixtureDenoiser",),
    "model/openai": ("its.model.openai.load",),
    "model/pixart_sigma": ("its.model.pixart_sigma.load",),
    "model/qwen_image": ("its.model.qwen_image.load",),
    "model/rae": ("its.model.rae.load",),
    "model/sana": ("its.model.sana.load",),
    "model/sana_sprint": ("its.model.sana_sprint.load",),
    "model/sd15": ("its.model.sd15.load",),
    "model/sd35": ("its.model.sd35.load",),
    "model/sdxl": ("its.model.sdxl.load",),
    "model/sit": ("its.model.sit.load",),
    "model/unet2d": ("its.model.unet2d.load",),
    "model/z_image": ("its.model.z_image.load",),
    "sampler/consistency": ("its.sampler.consistency.Consistency",),
    "sampler/ddim": ("its.sampler.ddim.DDIM",),
    "sampler/dpmpp_2m": ("its.sampler.dpmpp_2m.DPMpp2M",),
    "sampler/euler": ("its.sampler.euler.Euler",),
    "sampler/flow_cps": ("its.sampler.flow_cps.FlowCPS",),
    "sampler/flow_grpo": ("its.sampler.flow_grpo.FlowGRPO",),
    "sampler/flow_renoise": ("its.sampler.flow_renoise.FlowRenoise",),
    "sampler/flow_vp": ("its.sampler.flow_vp.FlowVP",),
    "sampler/heun": ("its.sampler.heun.Heun",),
    "sampler/sit_sde": ("its.sampler.sit_sde.SiTSDE",),
    "search/beam": ("its.search.beam.Beam",),
    "search/bfs_prune": ("its.search.bfs_prune.BFSPrune",),
    "search/bfs_resample": ("its.search.bfs_resample.BFSResample",),
    "search/das": ("its.search.das.DAS",),
    "search/dfs": ("its.search.dfs.DFS",),
    "search/dlbs": ("its.search.dlbs.DLBS",),
    "search/dsearch": ("its.search.dsearch.DSearch",),
    "search/dts": ("its.search.dts.DTS",),
    "search/eps_greedy": ("its.search.eps_greedy.EpsGreedy",),
    "search/evosearch": ("its.search.evosearch.EvoSearch",),
    "search/fk": ("its.search.fk.FK",),
    "search/flowchef": ("its.search.flowchef.FlowChef",),
    "search/halving": ("its.search.halving.Halving",),
    "search/lidar": ("its.search.lidar.LiDAR",),
    "search/more_steps": ("its.search.more_steps.MoreSteps",),
    "search/none": ("its.search.none.NoSearch",),
    "search/paths": ("its.search.paths.Paths",),
    "search/random": ("its.search.random.Random",),
    "search/rbf": ("its.search.rbf.RBF",),
    "search/reno": ("its.search.reno.ReNO",),
    "search/schedule": ("its.search.schedule.Schedule",),
    "search/ses": ("its.search.ses.SES",),
    "search/snes": ("its.search.snes.SNES",),
    "search/svdd": ("its.search.svdd.SVDD",),
    "search/tds": ("its.search.tds.TDS",),
    "search/treeg": ("its.search.treeg.TreeG",),
    "search/trs": ("its.search.trs.TRS",),
    "search/ug_fm": ("its.search.ug_fm.UGFM",),
    "search/zero_order": ("its.search.zero_order.ZeroOrder",),
    "tracker/none": ("its.tracker.none.NoTracker",),
    "tracker/wandb": ("its.tracker.wandb.WandB",),
    "verifier/classifier": ("its.verifier.classifier.Classifier",),
    "verifier/endpoint": ("its.verifier.endpoint.Endpoint",),
    "verifier/ensemble": ("its.verifier.ensemble.Ensemble",),
    "verifier/image_score": ("its.verifier.image_score.ImageScore",),
    "verifier/noisy_classifier": ("its.verifier.noisy_classifier.NoisyClassifier",),
    "verifier/null_rewards": ("its.verifier.null_rewards.NullRewards",),
    "verifier/oracle_fid": ("its.verifier.oracle_fid.OracleFid",),
    "verifier/oracle_is": ("its.verifier.oracle_is.OracleIS",),
    "verifier/picture_score": ("its.verifier.picture_score.PictureScore",),
    "verifier/prompt_score": ("its.verifier.prompt_score.PromptScore",),
    "verifier/self_supervised": ("its.verifier.self_supervised.SelfSupervised",),
    "verifier/vlm": ("its.verifier.vlm.Vlm",),
    "verifier/zscore": ("its.verifier.zscore.ZScore",),
}
"""By recorded name, the dotted name of today and those of before, the latest first."""

WORDS = {"search.keep_pool": "keep_candidates"}
"""Keys of a command line by what they were called before."""

PARAMETERS = {f"dataset/{name}": {"schedule": "class_order"} for name in ("classes", "digits", "mixture")}
"""By recorded name of a class, today's names of those parameters whose recorded name, the first, is another."""

_RECORDED = {dotted: name for name, dotted_names in NAMES.items() for dotted in dotted_names}


def recorded(target: str) -> str:
    """Return the recorded name of what a `_target_` names, today's or one of before."""
    return _RECORDED.get(target, target)


def recorded_parameter(target: str, key: str) -> str:
    """Return the recorded name of a parameter of what a `_target_` names."""
    return _first_parameters(target).get(key, key)


def current(target: str) -> str:
    """Return today's dotted name of what a `_target_` names."""
    return NAMES[_RECORDED[target]][0] if target in _RECORDED else target


def first(target: str) -> str:
    """Return the dotted name that what a `_target_` names had at first."""
    return NAMES[_RECORDED[target]][-1] if target in _RECORDED else target


def in_names_of_today(node: Any) -> Any:
    """Return a plain node of any version with the dotted names and parameters of today."""
    return _renamed(node, current, lambda target: PARAMETERS.get(recorded(target), {}))


def in_first_names(node: Any) -> Any:
    """Return a plain node of today with the dotted names and parameters that its classes had at first."""
    return _renamed(node, first, _first_parameters)


def _first_parameters(target: str) -> dict[str, str]:
    return {today: name for name, today in PARAMETERS.get(recorded(target), {}).items()}


def _renamed(node: Any, name: Callable[[str], str], parameters: Callable[[str], dict[str, str]]) -> Any:
    if isinstance(node, list):
        return [_renamed(value, name, parameters) for value in node]
    if not isinstance(node, dict):
        return node
    target = node.get("_target_")
    keys = parameters(target) if isinstance(target, str) else {}
    entries = {keys.get(key, key): _renamed(value, name, parameters) for key, value in node.items()}
    return entries | {"_target_": name(target)} if isinstance(target, str) else entries


def current_word(word: str) -> str:
    """Return a word of a command line under today's key."""
    key, equals, value = word.partition("=")
    plain = key.lstrip("+~")
    return f"{key.removesuffix(plain)}{WORDS.get(plain, plain)}{equals}{value}"
