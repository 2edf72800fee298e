"""How the mails of a comment fare, told on the comment itself and kept with dead addresses."""

import datetime as dt
from collections.abc import Sequence
from uuid import UUID

from django.db import transaction

from tickets.mail.models import Outgoing, Undeliverable
from tickets.models import Comment
from tickets.models.conversation import Delivery

# Of several recipients the worst is told, and what was sent beside it.
_ORDER = ("waiting", "bounced", "failed", "held", "sent", "cancelled")


def refresh(comment_id: UUID) -> None:
    """Write `Comment.delivery` anew from the mails of its newest round; call it in the transaction of a change."""
    comment = Comment.unscoped.select_for_update().only("pk").filter(pk=comment_id).first()
    if comment is None:
        return
    newest: dict[str, Outgoing] = {}
    for mail in Outgoing.unscoped.filter(comment_id=comment_id, kind="reply").order_by("round", "created_at"):
        newest[mail.recipient] = mail
    Comment.unscoped.filter(pk=comment_id).update(delivery=_told(list(newest.values())))


def tell(mails: Sequence[Outgoing]) -> None:
    """Write `Comment.delivery` of comments whose mails these are, all of them and just made."""
    for comment_id in {mail.comment_id for mail in mails if mail.comment_id}:
        told = _told([mail for mail in mails if mail.comment_id == comment_id])
        Comment.unscoped.filter(pk=comment_id).update(delivery=told)


def _told(mails: list[Outgoing]) -> Delivery | None:
    if not mails:
        return None
    worst = min(mails, key=lambda mail: _ORDER.index(mail.status))
    state = worst.status
    if state in ("bounced", "failed", "held") and any(mail.status == "sent" for mail in mails):
        state = "partly"
    at = worst.next_at if worst.status == "waiting" else worst.sent_at or worst.ended_at
    return Delivery(
        state=state,
        at=(at or worst.created_at).astimezone(dt.UTC).isoformat(),
        to=[mail.recipient for mail in mails],
        reason=worst.reason,
    )


@transaction.atomic
def bounced(*, outgoing: Outgoing, reason: str, is_permanent: bool, now: dt.datetime) -> None:
    """A server tells that a mail did not arrive, and its comment says so, with the `reason` in words.

    Where the address itself does not work (`is_permanent`), it gets no automatic mail any more; where only this mail
    is lost, because the mailbox is full for example, it does.
    """
    Outgoing.unscoped.filter(pk=outgoing.pk).update(status="bounced", reason=reason[:300], next_at=None, ended_at=now)
    if is_permanent:
        Undeliverable.unscoped.update_or_create(
            workspace_id=outgoing.workspace_id,
            address=outgoing.recipient,
            defaults={"reason": reason[:300], "bounced_at": now},
        )
    if outgoing.comment_id:
        refresh(outgoing.comment_id)


def reachable_again(*, workspace_id: UUID, address: str) -> None:
    """Somebody wrote from the address, or an admin says so: automatic mail may go there again."""
    Undeliverable.objects.for_workspace(workspace_id).filter(address=address).delete()


def is_undeliverable(*, workspace_id: UUID, address: str) -> bool:
    """Whether automatic mail to the address is held back."""
    return Undeliverable.objects.for_workspace(workspace_id).filter(address=address).exists()
