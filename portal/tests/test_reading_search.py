"""Finding help articles: as they were typed, misspelt, and by a whole ticket."""

from typing import Any

import pytest

from helpdesk.accounts.models import Workspace
from helpdesk.accounts.tests.factories import WorkspaceFactory
from portal.services import reading
from portal.tests.factories import make_article

ARTICLES = {
    "Reset your password": "Open the sign-in page, choose **Forgotten** and follow the link that we mail to you.",
    "Create an account": "Choose a plan, then register with your e-mail address.",
    "Change the amount of seats": "Owners add seats on the page Plan. The price follows at once.",
    "You do not receive our mail": "Look into the spam folder. A filter may hold our message back.",
    "Download an invoice": "Every invoice is a PDF. Find them under Billing, sorted by month.",
    "Set up single sign-on": "For administrators: connect your identity provider by SAML.",
    "Log in on a new phone": "Install the app and scan the code. Notifications need permission.",
    "Connect a calendar": "Meetings of Outlook and Google appear beside your tickets.",
    "Cancel your subscription": "It ends with the month that is paid. Your data is kept for 60 days.",
    "Passwort zurücksetzen": "Öffnen Sie die Anmeldung und wählen Sie „Vergessen“.",
    "Rechnung herunterladen": "Alle Rechnungen liegen unter „Abrechnung“. Die Lieferung ist sofort.",
    "Kündigung des Vertrags": "Sie können monatlich kündigen. Überweisungen werden anteilig erstattet.",
    "Télécharger une facture": "Chaque facture est un PDF. L’adresse de l’entreprise se règle dans le profil.",
    "Réinitialiser le mot de passe": "Suivez le lien reçu par courriel. Créez un mot de passe plus long.",
    "Café und Öffnungszeiten": "Wir haben von neun bis fünf geöffnet.",
}


@pytest.fixture(scope="module")
def workspace(module_transaction: Any) -> Workspace:
    with module_transaction():
        workspace = WorkspaceFactory()
        for title, body in ARTICLES.items():
            make_article(workspace, title, body)
        make_article(workspace, "Secret password of the office", "A draft.", status="draft", published_at=None)
        make_article(WorkspaceFactory(), "Reset your password elsewhere", "Not ours, zebra.")
    return workspace


pytestmark = pytest.mark.django_db


def titles(workspace: Workspace, words: str, **options: Any) -> list[str]:
    return [one.title for one in reading.search(workspace=workspace, words=words, **options)]


MISSPELT = [
    ("pasword", "Reset your password"),
    ("passwrod", "Reset your password"),
    ("passowrd reset", "Reset your password"),
    ("reest pasword", "Reset your password"),
    ("forgoten", "Reset your password"),
    ("apssword", "Reset your password"),
    ("acount", "Create an account"),
    ("accuont", "Create an account"),
    ("craete acount", "Create an account"),
    ("recieve", "You do not receive our mail"),
    ("recieving mial", "You do not receive our mail"),
    ("spma folder", "You do not receive our mail"),
    ("invioce", "Download an invoice"),
    ("invoce pdf", "Download an invoice"),
    ("donwload invoice", "Download an invoice"),
    ("calender", "Connect a calendar"),
    ("outlok", "Connect a calendar"),
    ("subscribtion", "Cancel your subscription"),
    ("cancle subscripton", "Cancel your subscription"),
    ("administartors", "Set up single sign-on"),
    ("notifcation", "Log in on a new phone"),
    ("login", "Log in on a new phone"),
    ("singlesign", "Set up single sign-on"),
    ("signle sign on", "Set up single sign-on"),
    ("amonut of seats", "Change the amount of seats"),
    # German, French: with accents, without, and with slips
    ("Passwrot", "Passwort zurücksetzen"),
    ("zurucksetzen", "Passwort zurücksetzen"),
    ("zurücksetzten", "Passwort zurücksetzen"),
    ("Pasword zurücksetzen", "Passwort zurücksetzen"),
    ("Rechnungn", "Rechnung herunterladen"),
    ("Rechung", "Rechnung herunterladen"),
    ("Liefrung", "Rechnung herunterladen"),
    ("Kundigung", "Kündigung des Vertrags"),
    ("Kündigng", "Kündigung des Vertrags"),
    ("Überweisng", "Kündigung des Vertrags"),
    ("facture", "Télécharger une facture"),
    ("telecharger", "Télécharger une facture"),
    ("téléchager factrue", "Télécharger une facture"),
    ("entreprize", "Télécharger une facture"),
    ("reinitialiser", "Réinitialiser le mot de passe"),
    ("réinitialiser mot de pase", "Réinitialiser le mot de passe"),
    ("cafe", "Café und Öffnungszeiten"),
    ("Offnungszeiten", "Café und Öffnungszeiten"),
    ("Öfnungszeiten", "Café und Öffnungszeiten"),
]


class TestSearch:
    @pytest.mark.parametrize(("words", "title"), MISSPELT)
    def test_finds_the_article_of_misspelt_words_first(self, workspace: Workspace, words: str, title: str) -> None:
        assert titles(workspace, words)[:1] == [title]
