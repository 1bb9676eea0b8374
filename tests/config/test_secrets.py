"""Secrets are known by names of variables, by whole words, and by the form of a URL; ordinary words are none."""

from pathlib import Path

import pytest

from its.config.secrets import check_key, check_secrets, is_secret, secrets_of, without_secrets

SECRET = "hunter22-Ax"

NAMES = """WANDB_API_KEY HF_TOKEN HUGGING_FACE_HUB_TOKEN AWS_SECRET_ACCESS_KEY AWS_ACCESS_KEY_ID DB_PASS PGPASSWORD
PASSPHRASE GITHUB_PAT SLACK_WEBHOOK_URL slack_webhook SENTRY_DSN REGISTRY_AUTH
OAUTH_CODE MYSQL_PWD APP_CREDENTIALS SESSION_COOKIE
PRIVATE_STUFF SLURM_JWT STORAGE_CONNECTION_STRING SAS_SIGNATURE OPENAI_KEYS MyKey"""


@pytest.mark.parametrize("name", NAMES.split())
@pytest.mark.parametrize("text", ["{}", "x_{}", "/tmp/{}/y", "a={},b", "Bearer {}"])
def test_check_secrets_knows_variables_by_name_and_values_by_word(name: str, text: str):
    with pytest.raises(ValueError, match=rf"^a\.0\.b holds what the environment's {name} holds") as error:
        check_secrets({"a": [{"b": text.format(SECRET)}]}, {name: f"{SECRET}\n"})
    assert SECRET not in str(error.value)


@pytest.mark.parametrize("text", ["a{}", "{}9", SECRET[:-1], SECRET.lower()])
def test_check_secrets_lets_parts_of_other_words_stand(text: str):
    check_secrets({"a": text.format(SECRET)}, {"DB_PASS": SECRET})


ORDINARY = {
    "KEYBOARD": ("us", "name=us"),
    "TOKENIZERS_PARALLELISM": ("false", "smoke=false"),
    "PASSIVE_MODE": ("1", "images=1"),
    "CACHE_KEY": ("1000", "images=1000"),
    "XKB_KEYMAP": ("standard", "metric=standard"),
    "MONKEY": ("classifier", "verifier=classifier"),
    "KEY_DEVICE": ("cuda:0", "device=cuda"),
    "SSH_AUTH_SOCK": ("/tmp", "out_dir=/tmp/x"),
    "AUTHOR": ("Somebody Else", "name=Somebody Else"),
    "PWD": ("/no/such/place/here", "out_dir=/no/such/place/here/x"),
    "PATH": ("/usr/local/secret99", "/usr/local/secret99"),
    "EMPTY_KEY": ("", ""),
}


@pytest.mark.parametrize("variable", ORDINARY)
def test_check_secrets_lets_ordinary_words_stand(variable: str):
    value, text = ORDINARY[variable]
    check_secrets({"a": [text, *text.split("=")]}, {variable: value})


def test_check_secrets_lets_paths_stand(tmp_path: Path):
    there, gone = tmp_path / "credentials-1", tmp_path / "credentials-2"
    there.touch()
    check_secrets([str(there), f"{there}/x", f"file://{there}"], {"APP_CREDENTIALS": str(there)})
    check_secrets(str(there), {"SOME_KEY": "credentials-1"})
    with pytest.raises(ValueError, match="APP_CREDENTIALS"):
        check_secrets(f"x:{gone}", {"APP_CREDENTIALS": str(gone)})


def test_check_secrets_reads_numbers_and_keys():
    for node in ({"seed": 20251231}, {"20251231": 1}, {20251231: 1}, {"x": 1.0, "y": [[20251231]]}):
        with pytest.raises(ValueError, match="DB_PASS"):
            check_secrets(node, {"DB_PASS": "20251231"})
    check_secrets({"a": True, "b": None, "seed": 20251230}, {"DB_PASS": "20251231"})


URLS = [
    "postgres://me:pw@host/db",
    "https://:pw@host",
    "see http://me:p%40w@host:80/x there",
    "mysql+pymysql://me:pw@host",
    "https://host/x?api_key=abc",
    "https://host/x?a=1&X-Amz-Signature=abc",
    "s3://bucket/x?token=abc",
]


@pytest.mark.parametrize("url", URLS)
def test_check_secrets_refuses_a_url_with_a_password(url: str):
    with pytest.raises(ValueError, match=r"^a is a URL with a password or a key in it"):
        check_secrets({"a": url}, {})


@pytest.mark.parametrize(
    "url", ["https://host:8080/a@b", "ssh://git@host/x", "https://host/?monkey=1&tokens=3", "a:b@c"]
)
def test_check_secrets_lets_other_urls_stand(url: str):
    check_secrets({"a": url}, {})


def test_secrets_of_takes_passwords_out_of_the_urls_of_any_variable():
    environment = {"PROXY": "x http://me:pass%40word1@host:80/y", "HOME": "https://host"}
    assert dict.fromkeys(secret for _, secret in secrets_of(environment)) == dict.fromkeys(
        ("http://me:pass%40word1@host:80", "pass%40word1", "pass@word1")
    )
    assert is_secret("PROXY", environment)
    assert not is_secret("HOME", environment)


OPTIONS = """model.weights_key max_tokens max_new_tokens cls_token pad_token reg_tokens class_token num_prefix_tokens
use_mask_token add_bos_token tokenizer keys passes secretary"""


@pytest.mark.parametrize("key", OPTIONS.split())
def test_check_key_knows_options_of_networks(key: str):
    check_key(key)


@pytest.mark.parametrize(
    "key", ["token", "a.hf_token", "tokens", "client_secret", "db/password", "x@api_key", "credentials"]
)
def test_check_key_refuses_names_of_secrets(key: str):
    with pytest.raises(ValueError, match="looks like a secret"):
        check_key(key)


def test_without_secrets_puts_names_of_variables_in_place_of_what_they_hold():
    environment = {"HF_TOKEN": SECRET, "DB": f"postgres://me:{SECRET}x@host/db", "HOME": "/home/me"}
    text = f"401 for Bearer {SECRET}, a{SECRET}, postgres://me:{SECRET}x@host/db, http://me:pw@host, /home/me"
    expected = f"401 for Bearer <HF_TOKEN>, a{SECRET}, <DB>/db, http://me:...@host, /home/me"
    assert without_secrets(text, environment) == expected
