# ruff: noqa: E501  (paragraphs are lines: in Markdown as we render it, a line break counts)
"""The help articles of the demo: what the customers of Tidemark, stock and order software for shops, read.

They answer what the stories of `tickets.management.demo_texts` ask about. Facts are those of the stories.
"""

from dataclasses import dataclass

ACCESS, MONEY, WORK = "Signing in and members", "Plans, invoices and payments", "Shop and warehouse"

# Name and description, in the order of the portal.
CATEGORIES: tuple[tuple[str, str], ...] = (
    (ACCESS, "Passwords, two-factor codes, single sign-on, and who may do what"),
    (WORK, "Connectors, labels, the mobile app, imports and exports"),
    (MONEY, "What Tidemark costs, and how it is paid"),
)


@dataclass(frozen=True)
class Text:
    """One article. `days` ago it was published (None: it is a draft); then how it fared, and words of readers."""

    category: str
    title: str
    body: str
    days: int | None
    views: int = 0
    yes: int = 0
    no: int = 0
    said: tuple[tuple[bool, str], ...] = ()


ARTICLES: tuple[Text, ...] = (
    Text(
        ACCESS,
        "I cannot sign in: locked account or lost password",
        """\
The sign-in page says that your account is locked, or your password is not accepted. Both are quickly put right.

## Your account is locked

After ten wrong passwords within a few minutes an account is locked for **15 minutes**. The usual reason is a browser or a password manager that keeps sending an old password.

1. Wait 15 minutes, or ask an owner of your workspace to press **Unlock** under *Settings → Members*.
2. Type your password once by hand. Do not let the browser fill it in.
3. Save the new password in your password manager, so that the old one is not sent again.

## You do not know your password

1. Press **Forgot password?** on the sign-in page and enter the address of your account.
2. Open the mail and follow the link. It is valid for one hour.

## The mail does not arrive

- Look into the spam folder, and into the quarantine of your mail system: some gateways take our mail for a newsletter.
- Ask your administrator to allow the sender `no-reply@tidemark.example`.
- Check the address: the mail goes to the address of your *account*, which may be another than the one of your shop.
""",
        74, 1812, 143, 19,
        (
            (True, "Was my password manager. Two minutes, thank you!"),
            (False, "Our quarantine deletes the mails after an hour, please make the link valid for longer."),
        ),
    ),
    Text(
        ACCESS,
        "Two-factor sign-in: a new phone or lost codes",
        """\
Codes of an authenticator app live on the phone. On a new phone they are gone unless the app moved them.

## You still have a recovery code

Choose **Use a recovery code** below the field for the code, and enter one of the ten codes that you got when you switched two-factor sign-in on. Each works once. Then set up your new phone under *Profile → Security*.

## You have no recovery codes

An owner of your workspace has to confirm that it is really you:

1. Write to us from the address of your account and say that you need a reset.
2. All owners get a mail with a button. One of them presses it.
3. At your next sign-in you set up two-factor sign-in anew.

> Keep the ten recovery codes where your phone is not: printed in a drawer, or in a password manager.
""",
        61, 640, 58, 4,
    ),
    Text(
        ACCESS,
        "Set up single sign-on with SAML or OpenID Connect",
        """\
With single sign-on (SSO) your team signs in with Okta, Microsoft Entra ID, Google Workspace, Keycloak or any other provider that speaks SAML 2.0 or OpenID Connect. SSO is part of the *Enterprise* plan.

## What Tidemark needs

| Claim | Needed | What for |
|---|---|---|
| `email` | yes | recognises the person |
| `given_name`, `family_name` | yes | the name that colleagues see |
| `groups` | no | maps groups to roles |

People are created at their first sign-in, with the role *Agent*. You can switch that off.

## Steps

1. Open *Settings → Security → Single sign-on* and choose your provider.
2. Copy the addresses shown there into your provider.
3. Press **Try as me**. Nothing changes for others until this worked.
4. Make SSO mandatory when everybody could sign in.

## After a change of the certificate

We read your provider's metadata every hour. A new certificate has to be *published*, not only added: as long as the metadata names the old one, sign-ins fail with “signature does not match any known certificate”. Owners can always get in with their password at the address under *Settings → Security → Emergency access*.
""",
        47, 389, 27, 5,
        ((False, "Which attribute of Keycloak is the groups claim?"),),
    ),
    Text(
        MONEY,
        "Correct the address or the VAT number on an invoice",
        """\
An invoice shows what stood in your account when it was issued. A change takes effect from the next one on.

## From now on

Change company name, address and VAT number under *Billing → Company*. The VAT number is checked with the tax authority: write the company's name **exactly as in the register**, with its legal form. When the check fails, tax is charged.

## An invoice that is there already

Write to us with the number of the invoice. We cancel it and issue a new one, usually within one working day. Both are then under *Billing → Invoices*; the amount stays the same, unless reverse charge applies.

We can correct invoices of the current and the last tax year.
""",
        52, 921, 77, 8,
    ),
    Text(
        MONEY,
        "When a payment fails, or you were charged twice",
        """\
## A payment failed

Nothing is switched off: you have **14 days** from the first try, and we try again after 3, 7 and 12 days.

Most often the bank asked for a confirmation (3-D Secure) that nobody gave in time, although the card is valid:

1. Open *Billing → Payment method* and press **Pay now**.
2. Confirm the payment in your banking app while the page is open.

## You see two payments

- Two payments on *one day* may be a reservation and the payment itself. A reservation disappears after a few days.
- If both are still there after five working days, write to us. We refund one of them to the same card or account, and banks take three to five working days to show it.
""",
        33, 577, 41, 6,
        ((True, "The banking app had the prompt all along."),),
    ),
    Text(
        MONEY,
        "Change or cancel your plan",
        """\
Owners change the plan under *Billing → Plan*.

- **A bigger plan** starts at once. The rest of the month is charged by the day, so you never pay twice.
- **A smaller plan** starts with the next period. Your data stays as it is; only the limits change.
- **Cancelling** takes effect at the end of the paid period. Until then everything works.

## Take your data with you

*Data → Exports → Everything* makes one archive with CSV files and all documents. We delete your data **60 days** after the end of the subscription. Until then you can come back and go on where you were.
""",
        29, 304, 22, 3,
    ),
    Text(
        WORK,
        "Stock or orders in your shop do not match Tidemark",
        """\
For Shopify, WooCommerce, Shopware, Magento and PrestaShop.

## Stock is hours behind

The connector sends changes in the order in which they come. After an import of many pictures or products, stock waits behind them. *Settings → Connectors → Queue* shows how many changes wait; **Stock first** lets stock overtake.

## Orders arrive twice

This happens when the plugin of the shop is registered two times, for example after an update.

1. Press **Hold new orders** in *Settings → Connectors*: nothing is packed twice while you look.
2. Open *Registrations* there, and delete all but the newest one of each topic.
3. Cancel the doubles: filter the orders by the tag `duplicate`.
4. Update the plugin to 3.2.1 or later, and take off the hold.

## Stock is negative after a stocktake

The stocktake was closed while orders were being picked. Book the suggested correction under *Stock → Corrections*, after a look at the shelf.
""",
        21, 733, 49, 9,
        (
            (True, "“Stock first” is exactly what we needed."),
            (False, "We use a shop that is not in the list."),
        ),
    ),
    Text(
        WORK,
        "Shipping labels are rotated, too small, or not printed at all",
        """\
## Rotated or too small

The printer gets an A4 page instead of a label. Choose your printer's format under *Settings → Printing → Label format*: **100 × 150 mm, ZPL** for most label printers, *PDF A4* for office printers.

## “Service not available for this account”

The carrier changed its products, or your contract does not cover the one that is chosen.

1. Look at the status page: when many are affected, it says so.
2. Open *Settings → Carriers*, press **Read products again**, and choose the product anew.
3. Print one label as a test before you print the rest.

## The customs form is missing

It is made when every line of the order has a **customs code** and a **weight**. *Products → Filter → Customs code missing* shows what is to be filled in. The form is needed for Switzerland, Norway, the United Kingdom and everywhere else outside the European Union.
""",
        12, 468, 36, 4,
    ),
    Text(
        WORK,
        "Counts made offline are missing after a stocktake",
        """\
## Question

We counted where there was no reception, and half of the counts are not in Tidemark.

## Answer

Counts stay on the phone until they have arrived: **do not remove the app**. Open it, sign in, and stay on the screen *Stocktake* for a minute. Then compare the totals.

(Which version asks for the sign-in by itself? Ask development before this is published.)
""",
        None,
    ),
)  # fmt: skip
