"""What goes to the Hugging Face hub: looked at first, then sent as one commit."""

from dataclasses import dataclass

from .files import shortened
from .source import is_hub_name, is_revision


@dataclass(frozen=True, repr=False)
class Upload:
    """Files that would go to a repository of the hub; printed, it shows their sizes and the card.

    Parameters
    ----------
    repo_id : str
        ``user/name``.
    files : dict of str to bytes
        What would be sent, by its name in the repository.
    revision : str, default=None
        Branch, made where it is missing. None is the main one.
    private : bool, default=None
        Of a repository that is made anew. None: as the hub has it.
    message : str, default=None
        Of the commit.
    create_pr : bool, default=False
        Propose the commit, rather than make it.
    """

    repo_id: str
    files: dict[str, bytes]
    revision: str | None = None
    private: bool | None = None
    message: str | None = None
    create_pr: bool = False

    def __post_init__(self):
        if not isinstance(self.repo_id, str) or not is_hub_name(self.repo_id):
            raise ValueError(f"repo_id is a repository of the hub, like 'user/name'; got {self.repo_id!r}.")
        if self.revision is not None and not is_revision(self.revision):
            raise ValueError(f"revision is a branch of {self.repo_id}; got {self.revision!r}.")

    @property
    def card(self) -> str:
        return self.files["README.md"].decode()

    @property
    def sizes(self) -> dict[str, int]:
        """Bytes of each file."""
        return {name: len(data) for name, data in self.files.items()}

    def __repr__(self):
        where = f"{self.repo_id}, branch {self.revision or 'main'}"
        kind = {None: "", True: ", private if it is new", False: ", public if it is new"}[self.private]
        lines = [f"Nothing was sent. One commit would go to {where}{kind}:"]
        lines += [f"{size:>12,}  {name}" for name, size in self.sizes.items()]
        return "\n".join([*lines, "", "README.md reads:", "", self.card])

    def send(self, token=None) -> str:
        """Make the repository where there is none, and send everything as one commit.

        Returns
        -------
        str
            Where the commit, or the proposal, can be looked at.
        """
        from huggingface_hub import CommitOperationAdd, HfApi

        api = HfApi(token=token)
        try:
            api.create_repo(self.repo_id, private=self.private, exist_ok=True)
            if self.revision is not None and not self.create_pr:
                api.create_branch(self.repo_id, branch=self.revision, exist_ok=True)
            commit = api.create_commit(
                self.repo_id,
                operations=[CommitOperationAdd(name, data) for name, data in self.files.items()],
                commit_message=self.message or "Weights by wearembed",
                revision=self.revision,
                create_pr=self.create_pr,
            )
        except Exception as error:  # whatever the client of the day raises
            raise ConnectionError(
                f"The hub did not take {self.repo_id}. Log in by hf auth login, or pass a token= that may write there; "
                f"without a connection, save_pretrained it and send it later. "
                f"({type(error).__name__}: {shortened(' '.join(str(error).split()), 400)})"
            ) from error
        return str((commit.pr_url if self.create_pr else None) or commit.commit_url)
