"""`manage.py bench_mail`: how many messages a second come in, what they take of memory, and what damaged ones do."""

import collections
import itertools
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import redis
from django.conf import settings
from django.core.files.storage import default_storage
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from django.utils import timezone

from helpdesk import embedded
from helpdesk.accounts.models import Workspace
from helpdesk.celery import app as celery_app
from helpdesk.management.commands import start
from tickets.mail.management import fuzz
from tickets.mail.models import Incoming, Mailbox
from tickets.mail.services import receiving
from tickets.management import bench_run, scratch
from tickets.management.commands.demo import refuse_in_the_open

PER_SECOND = 60
GROWTH = 1.15  # of a worker's memory from the first tenth to the end
LARGE = 25 * 1024 * 1024  # bytes
LARGE_RSS = 300  # MB
FUZZ_SECONDS = 1.0
FUZZ_GROWTH = 100  # MB
PATIENCE = 1800.0  # seconds until the worker must be through


class Command(BaseCommand):
    help = (
        "Measure mail in a scratch database of its own: how many messages a second a real worker with two processes "
        "turns into tickets and comments, what it takes of memory meanwhile, what one very large message takes, and "
        "what damaged messages do."
    )
    requires_system_checks = []  # nothing here needs the pages

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Options of the command."""
        parser.add_argument("--messages", type=int, default=10_000, help="messages that come in (10000)")
        parser.add_argument("--fuzz", type=int, default=10_000, help="damaged messages (10000)")
        parser.add_argument("--seed", type=int, default=1, help="the same seed damages the same (1)")

    def handle(self, *args: object, messages: int, seed: int, **options: object) -> None:
        """Measure. Raises CommandError when that is not possible."""
        refuse_in_the_open()
        damaged = int(str(options["fuzz"]))
        with tempfile.TemporaryDirectory(prefix="helpdesk-bench-") as name:
            folder = Path(name)
            folder.chmod(0o711)  # where root measures, PostgreSQL runs as nobody and must get in
            # No message is kept among the real ones; the processes that are started have a DATA_DIR of their own.
            storages: Any = settings.STORAGES
            storages["default"]["OPTIONS"]["location"] = str(folder / "attachments")
            if not Path(default_storage.path("x")).is_relative_to(folder):
                raise CommandError("The folder of files is in use already.")
            try:
                with scratch.servers(folder) as redis_url, scratch.database("mail") as database_url:
                    celery_app.conf.update(broker_url=embedded.broker_url(redis_url))
                    call_command("migrate", verbosity=0, interactive=False, skip_checks=True)
                    call_command("demo", tickets=50, stdout=self.stdout)
                    mailbox = Mailbox.unscoped.select_related("workspace").get(address="support@demo.example")
                    environment = bench_run.environment_for(database_url, redis_url, folder)
                    good = True
                    if messages:
                        good &= self._come_in(mailbox, messages, environment, redis_url)
                        good &= self._large(folder, environment)
                    if damaged:
                        good &= self._damaged(mailbox, damaged, seed)
            except embedded.EmbeddedError as problem:
                raise CommandError(str(problem)) from None
        self.stdout.write("\nEvery mark is kept." if good else "\nNot every mark is kept.")

    # --- Very many messages ---------------------------------------------------------------------

    def _come_in(self, mailbox: Mailbox, count: int, environment: dict[str, str], redis_url: str) -> bool:
        """All are stored first, as a door does; then a worker with two processes turns them into tickets."""
        queue = settings.CELERY_BROKER_TRANSPORT_OPTIONS["global_keyprefix"] + "celery"
        broker = redis.Redis.from_url(redis_url)
        broker.delete(queue)  # what making the demo has asked for
        sizes, times = [], []
        for raw in letters(count, mailbox.address):
            began = time.perf_counter()
            receiving.accept(
                raw=raw, mailbox=mailbox, way="smtp", envelope_from=None, envelope_to="", now=timezone.now()
            )
            times.append(time.perf_counter() - began)
            sizes.append(len(raw))
        self.stdout.write(f"\n{count} messages of {statistics.fmean(sizes) / 1000:.1f} kB")
        self.stdout.write(
            f"  stored and queued, one after the other{1 / statistics.fmean(times):11.0f}/s, "
            f"median {statistics.median(times) * 1000:.1f} ms"
        )
        worker = subprocess.Popen(start.commands()["worker"], env=environment, cwd=settings.BASE_DIR)  # noqa: S603
        try:
            seconds, sampled = self._time_draining(mailbox.workspace, count, worker)
            spent = _processor_seconds(worker.pid)
        finally:
            worker.send_signal(signal.SIGTERM)
            worker.wait(timeout=60)
        done = Incoming.objects.for_workspace(mailbox.workspace)
        outcomes = collections.Counter(done.values_list("outcome", flat=True))
        rate = count / seconds
        first, last = sampled
        is_quick, is_flat = rate >= PER_SECOND, last <= first * GROWTH
        self.stdout.write(f"  {', '.join(f'{name} {number}' for name, number in sorted(outcomes.items()))}")
        self.stdout.write(f"  by a worker with two processes{rate:19.0f}/s  {_verdict(is_quick)} (≥ {PER_SECOND}/s)")
        self.stdout.write(
            f"  processor time of a message{spent[0] / count * 1000:14.1f} ms, and of the database "
            f"{spent[1] / count * 1000:.1f} ms"
        )
        self.stdout.write(
            f"  its largest process, after a tenth and in the end{first:6.0f} and {last:.0f} MB  {_verdict(is_flat)} "
            f"(≤ {GROWTH:g}×)"
        )
        return is_quick and is_flat

    @staticmethod
    def _time_draining(
        workspace: Workspace, count: int, worker: "subprocess.Popen[bytes]"
    ) -> tuple[float, tuple[float, float]]:
        """Seconds from the first message that is done to the last, and the memory of a process then and in the end."""
        waiting = Incoming.objects.for_workspace(workspace).filter(status="waiting")
        began, first, last = 0.0, 0.0, time.monotonic() + PATIENCE
        before = count
        while time.monotonic() < last:
            if worker.poll() is not None:
                raise CommandError("The worker has ended.")
            left = waiting.count()
            if not began and left < count:
                began, before = time.monotonic(), left
            if not first and left <= count * 0.9:
                first = _memory_below(worker.pid)
            if not left:
                seconds = (time.monotonic() - began) * count / max(before, 1)
                return seconds, (first, _memory_below(worker.pid))
            time.sleep(0.2)
        raise CommandError(f"The worker was not through after {PATIENCE:.0f} seconds.")

    # --- A very large one -----------------------------------------------------------------------

    def _large(self, folder: Path, environment: dict[str, str]) -> bool:
        """One message with files of 25 MB, through a process of its own."""
        path = folder / "large.eml"
        mail = EmailMessage()
        mail["From"], mail["To"], mail["Subject"] = "jane@customers.example", "support@demo.example", "Large"
        mail["Message-ID"] = "<large@customers.example>"
        mail.set_content("See the files.")
        chance = random.Random(1)
        for number in range(2):
            content = chance.randbytes(LARGE * 100 // 137 // 2)  # base64 makes 137 of 100
            mail.add_attachment(content, maintype="application", subtype="octet-stream", filename=f"{number}.bin")
        path.write_bytes(mail.as_bytes())
        command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "receive_mail", str(path)]
        began = time.perf_counter()
        child = subprocess.Popen(command, env=environment, cwd=settings.BASE_DIR, stdout=subprocess.PIPE)  # noqa: S603
        told = child.stdout.read().decode() if child.stdout else ""
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        seconds, megabytes = time.perf_counter() - began, usage.ru_maxrss / 1024
        is_taken = child.returncode == 0 and '"ticket_created"' in told and told.count('"md5"') == 2
        good = is_taken and megabytes < LARGE_RSS
        self.stdout.write(f"\nOne message of {path.stat().st_size / 2**20:.1f} MB, with the start of the program")
        self.stdout.write(f"  {seconds:.1f} s, {megabytes:.0f} MB  {_verdict(good)} (< {LARGE_RSS} MB)")
        return good

    # --- Damaged ones ---------------------------------------------------------------------------

    def _damaged(self, mailbox: Mailbox, count: int, seed: int) -> bool:
        """Each is stored and worked through, and timed."""
        outcomes: collections.Counter[str] = collections.Counter()
        slowest, largest = 0.0, 0.0
        before = _resident(os.getpid())
        rows = Incoming.objects.for_workspace(mailbox.workspace)
        known = rows.count()
        for raw in fuzz.messages(count, seed=seed):
            began, peak = time.perf_counter(), _resident(os.getpid())
            incoming = receiving.accept(
                raw=raw,
                mailbox=mailbox,
                way="smtp",
                envelope_from=None,
                envelope_to="",
                now=timezone.now(),
                is_queued=False,
            )
            incoming = receiving.process(incoming_id=incoming.pk, now=timezone.now())
            slowest, largest = max(slowest, time.perf_counter() - began), max(largest, _resident(os.getpid()) - peak)
            name = incoming.reason if incoming.reason == "error" else incoming.outcome or incoming.status
            outcomes[name] += 1
        growth = _resident(os.getpid()) - before
        is_whole = rows.count() - known == count and not outcomes["error"] and not outcomes["waiting"]
        is_quick, is_small = slowest < FUZZ_SECONDS, growth < FUZZ_GROWTH
        self.stdout.write(f"\n{count} damaged messages")
        self.stdout.write(f"  {', '.join(f'{name} {number}' for name, number in sorted(outcomes.items()) if number)}")
        self.stdout.write(f"  each stored and accounted for, no error{'':10}{_verdict(is_whole)}")
        self.stdout.write(f"  the slowest{slowest * 1000:30.0f} ms  {_verdict(is_quick)} (< {FUZZ_SECONDS:g} s)")
        self.stdout.write(
            f"  memory, by one and by all{largest:13.0f} and {growth:.0f} MB  {_verdict(is_small)} (< {FUZZ_GROWTH} MB)"
        )
        return is_whole and is_quick and is_small


def letters(count: int, to: str) -> Iterator[bytes]:
    """Letters of about 20 kB, as text and HTML: of three one goes on with an earlier one."""
    chance = random.Random(2)
    words = ("printer", "login", "invoice", "password", "delivery", "refund", "account", "screen", "error", "again")
    for number in range(count):
        mail = EmailMessage()
        person = chance.randrange(max(count // 4, 1))
        mail["From"] = f"Customer {person} <customer{person}@mail.example>"
        mail["To"], mail["Subject"] = to, f"{chance.choice(words)} {chance.choice(words)} {number}"
        mail["Message-ID"] = f"<bench-{number}@mail.example>"
        if number > 50 and number % 3 == 0:
            mail["In-Reply-To"] = f"<bench-{chance.randrange(number - 50)}@mail.example>"
        paragraphs = [" ".join(chance.choices(words, k=60)) for _ in range(18)]
        history = "\n".join(f"> {' '.join(chance.choices(words, k=10))}" for _ in range(20))
        text = "\n\n".join(paragraphs)
        mail.set_content(f"{text}\n\nOn Mon, 2 Mar 2026 at 10:00, Demo Support <{to}> wrote:\n{history}\n")
        lines = "".join(f"<p style='margin:0'>{part}</p>" for part in paragraphs)
        old = "<br>".join(itertools.repeat("old words", 40))
        mail.add_alternative(
            f"<html><body>{lines}<blockquote type='cite'>{old}</blockquote></body></html>", subtype="html"
        )
        yield mail.as_bytes()


def _memory_below(pid: int) -> float:
    """The resident memory of the largest child of a process, in MB."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return max((_resident(int(child)) for child in children), default=_resident(pid))


def _processor_seconds(pid: int) -> tuple[float, float]:
    """What a worker's processes have taken of the processor, and the connections that are open to the database."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        backends = [row[0] for row in cursor.fetchall()]
    return sum(_processor(int(child)) for child in children), sum(map(_processor, backends))


def _processor(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:  # on another machine, or gone
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


def _verdict(good: bool) -> str:
    return "pass" if good else "FAIL"
