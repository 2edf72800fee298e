"""Attributions, blocks of headers, forwards and device signatures as mail programs write them, language by language."""

import pytest

from tickets.mail.parsing import languages
from tickets.mail.parsing.quotes import fold

ANSWER = "Erster Satz der Antwort, 第一句, первое предложение.\nSecond line of it."

# (language, client, the attribution as it stands above quoted lines)
ATTRIBUTIONS = [
    ("en", "Gmail", "On Tue, Mar 3, 2026 at 10:04 AM {me} wrote:"),
    ("en", "Gmail, wrapped",
     "On Tue, Mar 3, 2026 at 10:04 AM Dana Reyes of the Long Company Name | "
     "<dana@example.com> wrote:"),
    ("en", "Gmail, wrapped twice", "On Tue, Mar 3, 2026 at 10:04 AM Dana Reyes | <dana@example.com> | wrote:"),
    ("en", "Gmail, name only an address", "On Tue, Mar 3, 2026 at 10:04 AM <dana@example.com> wrote:"),
    ("en", "Apple Mail", "On Mar 3, 2026, at 10:04 AM, {me} wrote:"),
    ("en", "Apple Mail, British", "On 3 Mar 2026, at 10:04, {me} wrote:"),
    ("en", "Thunderbird", "On 3/3/26 10:04, Dana Reyes wrote:"),
    ("en", "Thunderbird, ISO", "On 2026-03-03 10:04, Dana Reyes wrote:"),
    ("en", "Evolution", "On Tue, 2026-03-03 at 10:04 +0100, Dana Reyes wrote:"),
    ("en", "Mutt", "On Tue, Mar 03, 2026 at 10:04:11AM +0100, Dana Reyes wrote:"),
    ("en", "Yahoo", "On Tuesday, March 3, 2026, 10:04:11 AM GMT+1, {me} wrote:"),
    ("en", "Proton", "On Tuesday, March 3rd, 2026 at 10:04 AM, {me} wrote:"),
    ("en", "Zoho", "---- On Tue, 03 Mar 2026 10:04:11 +0100 {me} wrote ----"),
    ("en", "163", "At 2026-03-03 10:04:11, \"Dana Reyes\" <dana@example.com> wrote:"),
    ("en", "Eudora", "At 3/3/2026 10:04 AM, you wrote:"),
    ("en", "AOL", "In a message dated 3/3/2026 10:04:11 AM Central Standard Time, dana@example.com writes:"),
    ("en", "no date", "Dana Reyes wrote:"),
    ("en", "no date, address", "{me} wrote:"),
    ("en", "name first", "Dana Reyes wrote on 3/3/26 10:04 AM:"),
    ("en", "emphasis", "*On Tue, Mar 3, 2026 at 10:04 AM {me} wrote:*"),
    ("de", "Gmail", "Am Di., 3. März 2026 um 10:04 Uhr schrieb {me}:"),
    ("de", "Gmail, wrapped", "Am Di., 3. März 2026 um 10:04 Uhr schrieb Dana Reyes < | dana@example.com>:"),
    ("de", "Apple Mail", "Am 03.03.2026 um 10:04 schrieb {me}:"),
    ("de", "Apple Mail, wrapped", "> Am 03.03.2026 um 10:04 schrieb Dana Reyes | > <dana@example.com>:"),
    ("de", "Thunderbird", "Am 03.03.26 um 10:04 schrieb Dana Reyes:"),
    ("de", "Proton", "{me} schrieb am Dienstag, 3. März 2026 um 10:04:"),
    ("de", "Yahoo", "Am Dienstag, 3. März 2026 um 10:04:11 MEZ hat {me} Folgendes geschrieben:"),
    ("de", "no date", "Dana Reyes schrieb:"),
    ("fr", "Gmail", "Le mar. 3 mars 2026 à 10:04, {me} a écrit :"),
    ("fr", "Gmail, wrapped", "Le mar. 3 mars 2026 à 10:04, {me} a | écrit :"),
    ("fr", "Apple Mail", "Le 3 mars 2026 à 10:04, {me} a écrit :"),
    ("fr", "Thunderbird", "Le 03/03/2026 à 10:04, Dana Reyes a écrit :"),
    ("fr", "Yahoo", "Le mardi 3 mars 2026 à 10:04:11 UTC+1, {me} a écrit :"),
    ("es", "Gmail", "El mar, 3 mar 2026 a las 10:04, Dana Reyes (<dana@example.com>) escribió:"),
    ("es", "Gmail, wrapped", "El mar, 3 mar 2026 a las 10:04, Dana Reyes (<dana@example.com>) | escribió:"),
    ("es", "Apple Mail", "El 3 mar 2026, a las 10:04, {me} escribió:"),
    ("es", "Thunderbird", "El 3/3/26 a las 10:04, Dana Reyes escribió:"),
    ("es", "Yahoo", "El martes, 3 de marzo de 2026, 10:04:11 CET, {me} escribió:"),
    ("pt", "Gmail, Brazil", "Em ter., 3 de mar. de 2026 às 10:04, {me} escreveu:"),
    ("pt", "Gmail, Portugal", "{me} escreveu (terça, 3/03/2026 à(s) 10:04):"),
    ("pt", "Apple Mail", "Em 3 de mar. de 2026, à(s) 10:04, {me} escreveu:"),
    ("pt", "Apple Mail, Portugal", "No dia 03/03/2026, às 10:04, {me} escreveu:"),
    ("pt", "Thunderbird", "Em 03/03/2026 10:04, Dana Reyes escreveu:"),
    ("it", "Gmail", "Il giorno mar 3 mar 2026 alle ore 10:04 {me} ha scritto:"),
    ("it", "Gmail, wrapped", "Il giorno mar 3 mar 2026 alle ore 10:04 Dana Reyes < | dana@example.com> ha scritto:"),
    ("it", "Apple Mail", "Il giorno 3 mar 2026, alle ore 10:04, {me} ha scritto:"),
    ("it", "Thunderbird", "Il 03/03/26 10:04, Dana Reyes ha scritto:"),
    ("nl", "Gmail", "Op di 3 mrt 2026 om 10:04 schreef {me}:"),
    ("nl", "Apple Mail", "Op 3 mrt 2026, om 10:04 heeft {me} het volgende geschreven:"),
    ("nl", "Apple Mail, wrapped", "Op 3 mrt 2026, om 10:04 heeft {me} het | volgende geschreven:"),
    ("nl", "Thunderbird", "Op 03-03-2026 om 10:04 schreef Dana Reyes:"),
    ("pl", "Gmail", "wt., 3 mar 2026 o 10:04 {me} napisał(a):"),
    ("pl", "Apple Mail", "Wiadomość napisana przez {me} w dniu 3 mar 2026, o godz. 10:04:"),
    ("pl", "Thunderbird", "W dniu 03.03.2026 o 10:04, Dana Reyes pisze:"),
    ("pl", "Onet", "Dnia 3 marca 2026 10:04 {me} napisał(a):"),
    ("ru", "Gmail", "вт, 3 мар. 2026 г. в 10:04, {me}:"),
    ("ru", "Apple Mail", "3 марта 2026 г., в 10:04, {me} написал(а):"),
    ("ru", "Thunderbird", "03.03.2026 10:04, Dana Reyes пишет:"),
    ("ru", "Mail.ru", "Вторник, 3 марта 2026, 10:04 +03:00 от {me}:"),
    ("ru", "Yandex", "03.03.2026, 10:04, \"Dana Reyes\" <dana@example.com>:"),
    ("uk", "Gmail", "вт, 3 бер. 2026 р. о 10:04 {me} пише:"),
    ("uk", "Apple Mail", "3 бер. 2026 р. о 10:04 {me} написав(ла):"),
    ("uk", "Thunderbird", "03.03.2026 10:04, Dana Reyes пише:"),
    ("tr", "Gmail", "{me}, 3 Mar 2026 Sal, 10:04 tarihinde şunu yazdı:"),
    ("tr", "Gmail, wrapped", "{me}, 3 Mar 2026 Sal, 10:04 tarihinde | şunu yazdı:"),
    ("tr", "Apple Mail", "{me} şunları yazdı (3 Mar 2026 10:04):"),
    ("tr", "Thunderbird", "On 03.03.2026 10:04, Dana Reyes yazdı:"),
    ("sv", "Gmail", "Den tis 3 mars 2026 kl 10:04 skrev {me}:"),
    ("sv", "Apple Mail", "3 mars 2026 kl. 10:04 skrev {me}:"),
    ("sv", "Thunderbird", "Den 2026-03-03 kl. 10:04, skrev Dana Reyes:"),
    ("da", "Gmail", "Den tirs. 3. mar. 2026 kl. 10.04 skrev {me}:"),
    ("da", "Apple Mail", "Den 3. mar. 2026 kl. 10.04 skrev {me}:"),
    ("da", "Thunderbird", "Den 03.03.2026 kl. 10.04 skrev Dana Reyes:"),
    ("no", "Gmail", "tir. 3. mars 2026 kl. 10:04 skrev {me}:"),
    ("no", "Apple Mail", "3. mar. 2026 kl. 10:04 skrev {me}:"),
    ("no", "Outlook for Mac", "{me} skrev følgende den 03.03.2026 10:04:"),
    ("fi", "Gmail", "ti 3. maalisk. 2026 klo 10.04 Dana Reyes (dana@example.com) kirjoitti:"),
    ("fi", "Apple Mail", "{me} kirjoitti 3.3.2026 kello 10.04:"),
    ("fi", "Thunderbird", "Dana Reyes kirjoitti 3.3.2026 klo 10.04:"),
    ("cs", "Gmail", "út 3. 3. 2026 v 10:04 odesílatel {me} napsal:"),
    ("cs", "Apple Mail", "3. 3. 2026 v 10:04, {me}:"),
    ("cs", "Seznam", "Dne 03.03.2026 v 10:04 Dana Reyes napsal(a):"),
    ("sk", "Gmail", "ut 3. 3. 2026 o 10:04 {me} napísal(a):"),
    ("sk", "Thunderbird", "Dňa 3. 3. 2026 o 10:04 Dana Reyes napísal(a):"),
    ("hu", "Gmail", "{me} ezt írta (időpont: 2026. márc. 3., K, 10:04):"),
    ("hu", "Apple Mail", "2026. márc. 3. dátummal, 10:04 időpontban {me} írta:"),
    ("hu", "Thunderbird", "2026. 03. 03. 10:04 keltezéssel, Dana Reyes írta:"),
    ("ro", "Gmail", "În mar., 3 mar. 2026 la 10:04, {me} a scris:"),
    ("ro", "Apple Mail", "Pe 3 mar. 2026, la 10:04, {me} a scris:"),
    ("ro", "Thunderbird", "Pe 03.03.2026 10:04, Dana Reyes a scris:"),
    ("el", "Gmail", "Στις Τρί 3 Μαρ 2026 στις 10:04 π.μ., ο χρήστης {me} έγραψε:"),
    ("el", "Apple Mail", "Στις 3 Μαρ 2026, στις 10:04, ο/η {me} έγραψε:"),
    ("el", "Thunderbird", "Στις 3/3/26 10:04, ο/η Dana Reyes έγραψε:"),
    ("bg", "Gmail", "На вт, 3.03.2026 г. в 10:04 {me} написа:"),
    ("hr", "Gmail", "uto, 3. ožu 2026. u 10:04 {me} napisao je:"),
    ("sr", "Gmail", "уто, 3. мар 2026. у 10:04 {me} је написао/ла:"),
    ("sl", "Gmail", "V V tor., 3. mar. 2026 ob 10:04 je oseba {me} napisala:"),
    ("et", "Gmail", "Dana Reyes (<dana@example.com>) kirjutas kuupäeval T, 3. märts 2026 kell 10:04:"),
    ("lv", "Gmail", "otrd., 2026. g. 3. marts, plkst. 10:04 — lietotājs Dana Reyes (<dana@example.com>) rakstīja:"),
    ("lt", "Gmail", "2026-03-03, an, 10:04 {me} rašė:"),
    ("ca", "Gmail", "Missatge de {me} del dia dt., 3 de març 2026 a les 10:04:"),
    ("zh-hans", "Gmail", "{me} 于2026年3月3日周二 上午10:04写道："),
    ("zh-hans", "Gmail, wrapped", "{me} 于2026年3月3日周二 | 上午10:04写道："),
    ("zh-hans", "Apple Mail", "在 2026年3月3日，上午10:04，{me} 写道："),
    ("zh-hans", "163", "在 2026-03-03 10:04:11，\"Dana Reyes\" <dana@example.com> 写道："),
    ("zh-hans", "Thunderbird", "在 2026/3/3 10:04, Dana Reyes 写道:"),
    ("zh-hant", "Gmail", "{me} 於 2026年3月3日 週二 上午10:04寫道："),
    ("zh-hant", "Apple Mail", "{me} 於 2026年3月3日 上午10:04 寫道："),
    ("ja", "Gmail", "2026年3月3日(火) 10:04 {me}:"),
    ("ja", "Apple Mail", "2026/03/03 10:04、{me}のメール："),
    ("ja", "Thunderbird", "On 2026/03/03 10:04, Dana Reyes wrote:"),
    ("ja", "Becky", "{me} さんは書きました:"),
    ("ko", "Gmail", "2026년 3월 3일 (화) 오전 10:04, {me}님이 작성:"),
    ("ko", "Apple Mail", "2026. 3. 3. 오전 10:04, {me} 작성:"),
    ("ko", "Thunderbird", "2026-03-03 오전 10:04에 Dana Reyes 이(가) 쓴 글:"),
    ("vi", "Gmail", "Vào Th 3, 3 thg 3, 2026 vào lúc 10:04 {me} đã viết:"),
    ("vi", "Apple Mail", "Vào 10:04, 3 thg 3, 2026, {me} đã viết:"),
    ("th", "Gmail", "ในวันที่ อ. 3 มี.ค. 2026 เวลา 10:04 {me} เขียนว่า:"),
    ("id", "Gmail", "Pada tanggal Sel, 3 Mar 2026 pukul 10.04 {me} menulis:"),
    ("hi", "Gmail", "मंगल, 3 मार्च 2026 को 10:04 am बजे को {me} ने लिखा:"),
    ("ar", "Gmail", "في الثلاثاء، 3 مارس 2026 في 10:04 ص تمت كتابة ما يلي بواسطة {me}:"),
    ("ar", "Gmail, Arabic digits",
     "في الثلاثاء، ٣ مارس ٢٠٢٦ في ١٠:٠٤ ص تمت كتابة ما يلي بواسطة Dana Reyes <\u200edana@example.com>:"),
    ("ar", "Apple Mail", "في ٣ مارس ٢٠٢٦، الساعة ١٠:٠٤ ص، كتب {me}:"),
    ("fa", "Gmail", "در تاریخ سه\u200cشنبه ۳ مارس ۲۰۲۶،\u200f ۱۰:۰۴ {me} نوشت:"),
    ("he", "Gmail",
     "\u202bבתאריך יום ג׳, 3 במרץ 2026 ב-10:04 מאת "
     "\u202aDana Reyes\u202c\u200f <\u202adana@example.com\u202c\u200f>:\u202c"),
    ("he", "Apple Mail", "ב-3 במרץ 2026, בשעה 10:04, {me} כתב/ה:"),
    ("xx", "any language with date and address", "Qanchis 3 marzu 2026 10:04 {me} qillqan:"),
]  # fmt: skip

_BODY = "Could you send the invoice?\n\nDana"
# Without marks of quotation, as Outlook writes it below its headers.
HEADERS = [
    ("en", "Outlook", "From: {me} | Sent: Tuesday, March 3, 2026 10:04 AM | To: {help} | Subject: RE: Invoice"),
    ("en", "Outlook, ruled",
     "________________________________ | From: {me} | Sent: Tuesday, March 3, 2026 10:04 AM | "
     "To: {help} | Subject: RE: Invoice"),
    ("en", "Outlook, bold",
     "*From:* {me} | *Sent:* Tuesday, March 3, 2026 10:04 AM | *To:* {help} | "
     "*Cc:* Ann <ann@example.com> | *Subject:* RE: Invoice"),
    ("en", "Outlook 2003",
     "-----Original Message----- | From: Dana Reyes [mailto:dana@example.com] | "
     "Sent: Tuesday, March 03, 2026 10:04 AM | To: Help | Subject: Invoice"),
    ("en", "Outlook for Mac",
     "From: {me} | Date: Tuesday, 3 March 2026 at 10:04 | To: {help} | Subject: Re: Invoice"),
    ("en", "Outlook for iOS",
     "________________________________ | From: {me} | Sent: Tuesday, March 3, 2026 10:04:11 AM | "
     "To: {help} | Subject: Re: Invoice"),
    ("en", "Outlook, blank lines between",
     "From: {me} |  | Sent: Tuesday, March 3, 2026 10:04 AM |  | To: {help} |  | "
     "Subject: RE: Invoice"),
    ("en", "Outlook, many recipients",
     "From: {me} | Sent: Tuesday, March 3, 2026 10:04 AM | To: {help}; Ann Other <ann@example.com>; | "
     "Bob Third <bob@example.com>; Cy Fourth <cy@example.com> | Subject: RE: Invoice"),
    ("en", "Samsung",
     "-------- Original message -------- | From: {me} | Date: 3/3/26 10:04 (GMT+01:00) | To: {help} | "
     "Subject: Invoice"),
    ("en", "Proton", "------- Original Message ------- | On Tuesday, March 3rd, 2026 at 10:04 AM, {me} wrote:"),
    ("en", "Proton, older",
     "\u2010\u2010\u2010\u2010\u2010\u2010\u2010 Original Message \u2010\u2010\u2010\u2010\u2010\u2010\u2010 | "
     "On Tuesday, March 3rd, 2026 at 10:04 AM, {me} wrote:"),
    ("en", "Yahoo, unquoted", "On Tuesday, March 3, 2026, 10:04:11 AM GMT+1, {me} wrote:"),
    ("de", "Outlook", "Von: {me} | Gesendet: Dienstag, 3. März 2026 10:04 | An: {help} | Betreff: AW: Rechnung"),
    ("de", "Outlook 2003",
     "-----Ursprüngliche Nachricht----- | Von: Dana Reyes [mailto:dana@example.com] | "
     "Gesendet: Dienstag, 3. März 2026 10:04 | An: Help | Betreff: Rechnung"),
    ("de", "Outlook for Mac",
     "Von: {me} | Datum: Dienstag, 3. März 2026 um 10:04 | An: {help} | Betreff: AW: Rechnung"),
    ("de", "GMX",
     "Gesendet: Dienstag, 03. März 2026 um 10:04 Uhr | Von: \"Dana Reyes\" <dana@example.com> | "
     "An: help@example.com | Betreff: Rechnung"),
    ("de", "T-Online",
     "-----Original-Nachricht----- | Betreff: Rechnung | Datum: 2026-03-03T10:04:11+0100 | "
     "Von: \"Dana Reyes\" <dana@example.com> | An: \"help@example.com\" <help@example.com>"),
    ("fr", "Outlook", "De : {me} | Envoyé : mardi 3 mars 2026 10:04 | À : {help} | Objet : RE: Facture"),
    ("fr", "Outlook 2003",
     "-----Message d'origine----- | De : Dana Reyes [mailto:dana@example.com] | "
     "Envoyé : mardi 3 mars 2026 10:04 | À : Help | Objet : Facture"),
    ("es", "Outlook", "De: {me} | Enviado: martes, 3 de marzo de 2026 10:04 | Para: {help} | Asunto: RE: Factura"),
    ("es", "Outlook 2003",
     "-----Mensaje original----- | De: Dana Reyes [mailto:dana@example.com] | "
     "Enviado el: martes, 3 de marzo de 2026 10:04 | Para: Help | Asunto: Factura"),
    ("pt", "Outlook",
     "De: {me} | Enviada em: terça-feira, 3 de março de 2026 10:04 | Para: {help} | "
     "Assunto: RES: Fatura"),
    ("it", "Outlook", "Da: {me} | Inviato: martedì 3 marzo 2026 10:04 | A: {help} | Oggetto: R: Fattura"),
    ("it", "Libero",
     "----Messaggio originale---- | Da: dana@example.com | Data: 3-mar-2026 10.04 | "
     "A: <help@example.com> | Ogg: Fattura"),
    ("nl", "Outlook", "Van: {me} | Verzonden: dinsdag 3 maart 2026 10:04 | Aan: {help} | Onderwerp: RE: Factuur"),
    ("pl", "Outlook", "Od: {me} | Wysłano: wtorek, 3 marca 2026 10:04 | Do: {help} | Temat: RE: Faktura"),
    ("ru", "Outlook", "От: {me} | Отправлено: 3 марта 2026 г. 10:04 | Кому: {help} | Тема: RE: Счёт"),
    ("uk", "Outlook", "Від: {me} | Надіслано: 3 березня 2026 р. 10:04 | Кому: {help} | Тема: RE: Рахунок"),
    ("tr", "Outlook", "Kimden: {me} | Gönderildi: 3 Mart 2026 Salı 10:04 | Kime: {help} | Konu: RE: Fatura"),
    ("tr", "Outlook, sender",
     "Gönderen: {me} | Gönderme Tarihi: 3 Mart 2026 Salı 10:04 | Kime: {help} | Konu: RE: Fatura"),
    ("sv", "Outlook", "Från: {me} | Skickat: den 3 mars 2026 10:04 | Till: {help} | Ämne: SV: Faktura"),
    ("da", "Outlook", "Fra: {me} | Sendt: 3. marts 2026 10:04 | Til: {help} | Emne: SV: Faktura"),
    ("no", "Outlook", "Fra: {me} | Sendt: tirsdag 3. mars 2026 10:04 | Til: {help} | Emne: SV: Faktura"),
    ("fi", "Outlook",
     "Lähettäjä: {me} | Lähetetty: tiistai 3. maaliskuuta 2026 10.04 | Vastaanottaja: {help} | "
     "Aihe: VS: Lasku"),
    ("cs", "Outlook", "Od: {me} | Odesláno: úterý 3. března 2026 10:04 | Komu: {help} | Předmět: RE: Faktura"),
    ("sk", "Outlook", "Od: {me} | Odoslané: utorok 3. marca 2026 10:04 | Komu: {help} | Predmet: RE: Faktúra"),
    ("hu", "Outlook", "Feladó: {me} | Elküldve: 2026. március 3., kedd 10:04 | Címzett: {help} | Tárgy: RE: Számla"),
    ("ro", "Outlook", "De la: {me} | Trimis: marți, 3 martie 2026 10:04 | Către: {help} | Subiect: RE: Factura"),
    ("el", "Outlook", "Από: {me} | Στάλθηκε: Τρίτη, 3 Μαρτίου 2026 10:04 πμ | Προς: {help} | Θέμα: ΑΠ: Τιμολόγιο"),
    ("bg", "Outlook", "От: {me} | Изпратено: вторник, 3 март 2026 10:04 | До: {help} | Относно: RE: Фактура"),
    ("hr", "Outlook", "Od: {me} | Poslano: utorak, 3. ožujka 2026. 10:04 | Za: {help} | Predmet: RE: Račun"),
    ("zh-hans", "Outlook", "发件人: {me} | 发送时间: 2026年3月3日 10:04 | 收件人: {help} | 主题: 回复: 发票"),
    ("zh-hans", "QQ",
     "------------------ 原始邮件 ------------------ | 发件人: \"Dana Reyes\" <dana@example.com>; | "
     "发送时间: 2026年3月3日(星期二) 上午10:04 | 收件人: \"Help\"<help@example.com>; | 主题: 发票"),
    ("zh-hans", "Foxmail", "发件人： Dana Reyes | 发送时间： 2026-03-03 10:04 | 收件人： Help | 主题： 发票"),
    ("zh-hant", "Outlook", "寄件者: {me} | 寄件日期: 2026年3月3日 上午 10:04 | 收件者: {help} | 主旨: RE: 發票"),
    ("ja", "Outlook", "差出人: {me} | 送信日時: 2026年3月3日 10:04 | 宛先: {help} | 件名: RE: 請求書"),
    ("ja", "Outlook 2003",
     "-----元のメッセージ----- | 差出人: Dana Reyes | 送信日時: 2026年3月3日 10:04 | 宛先: Help | "
     "件名: 請求書"),
    ("ko", "Outlook",
     "보낸 사람: {me} | 보낸 날짜: 2026년 3월 3일 화요일 오전 10:04 | 받는 사람: {help} | "
     "제목: RE: 청구서"),
    ("ko", "Naver",
     "-----Original Message----- | From: \"Dana Reyes\"<dana@example.com> | To: <help@example.com> | "
     "Cc: | Sent: 2026-03-03 (화) 10:04:11 (GMT+09:00) | Subject: 청구서"),
    ("vi", "Outlook", "Từ: {me} | Đã gửi: Thứ Ba, 3 Tháng Ba 2026 10:04 | Đến: {help} | Chủ đề: RE: Hóa đơn"),
    ("th", "Outlook", "จาก: {me} | ส่ง: 3 มีนาคม 2026 10:04 | ถึง: {help} | เรื่อง: RE: ใบแจ้งหนี้"),
    ("id", "Outlook", "Dari: {me} | Dikirim: Selasa, 03 Maret 2026 10:04 | Kepada: {help} | Subjek: RE: Faktur"),
    ("ar", "Outlook", "من: {me} | تاريخ الإرسال: الثلاثاء، 3 مارس 2026 10:04 ص | إلى: {help} | الموضوع: رد: فاتورة"),
    ("he", "Outlook", "מאת: {me} | נשלח: יום שלישי 3 מרץ 2026 10:04 | אל: {help} | נושא: RE: חשבונית"),
    ("hi", "Outlook", "प्रेषक: {me} | भेजा गया: मंगलवार, 3 मार्च 2026 10:04 | प्रति: {help} | विषय: RE: चालान"),
]  # fmt: skip

FORWARDS = [
    ("en", "Gmail",
     "---------- Forwarded message --------- | From: {me} | Date: Tue, Mar 3, 2026 at 10:04 AM | "
     "Subject: Invoice | To: <help@example.com>"),
    ("en", "Apple Mail",
     "Begin forwarded message: |  | From: {me} | Subject: Invoice | "
     "Date: 3 March 2026 at 10:04:11 CET | To: help@example.com"),
    ("en", "Thunderbird",
     "-------- Forwarded Message -------- | Subject: Invoice | Date: Tue, 3 Mar 2026 10:04:11 +0100 | "
     "From: {me} | To: help@example.com"),
    ("en", "Yahoo",
     "----- Forwarded Message ----- | From: {me} | To: help@example.com | "
     "Sent: Tuesday, March 3, 2026, 10:04:11 AM GMT+1 | Subject: Invoice"),
    ("de", "Thunderbird",
     "-------- Weitergeleitete Nachricht -------- | Betreff: Rechnung | "
     "Datum: Tue, 3 Mar 2026 10:04:11 +0100 | Von: {me} | An: help@example.com"),
    ("de", "Apple Mail",
     "Anfang der weitergeleiteten Nachricht: |  | Von: {me} | Betreff: Rechnung | "
     "Datum: 3. März 2026 um 10:04:11 MEZ | An: help@example.com"),
    ("fr", "Thunderbird",
     "-------- Message transféré -------- | Sujet : Facture | Date : Tue, 3 Mar 2026 10:04:11 +0100 | "
     "De : {me} | Pour : help@example.com"),
    ("fr", "Apple Mail",
     "Début du message réexpédié : |  | De: {me} | Objet: Facture | "
     "Date: 3 mars 2026 à 10:04:11 UTC+1 | À: help@example.com"),
    ("es", "Apple Mail",
     "Inicio del mensaje reenviado: |  | De: {me} | Asunto: Factura | "
     "Fecha: 3 de marzo de 2026, 10:04:11 CET | Para: help@example.com"),
    ("pt", "Thunderbird",
     "-------- Mensagem encaminhada -------- | Assunto: Fatura | "
     "Data: Tue, 3 Mar 2026 10:04:11 +0100 | De: {me} | Para: help@example.com"),
    ("it", "Thunderbird",
     "-------- Messaggio Inoltrato -------- | Oggetto: Fattura | "
     "Data: Tue, 3 Mar 2026 10:04:11 +0100 | Mittente: {me} | A: help@example.com"),
    ("nl", "Apple Mail",
     "Begin doorgestuurd bericht: |  | Van: {me} | Onderwerp: Factuur | "
     "Datum: 3 maart 2026 om 10:04:11 CET | Aan: help@example.com"),
    ("pl", "Thunderbird",
     "-------- Treść przekazanej wiadomości -------- | Temat: Faktura | "
     "Data: Tue, 3 Mar 2026 10:04:11 +0100 | Nadawca: {me} | Adresat: help@example.com"),
    ("ru", "Thunderbird",
     "-------- Перенаправленное сообщение -------- | Тема: Счёт | "
     "Дата: Tue, 3 Mar 2026 10:04:11 +0100 | От: {me} | Кому: help@example.com"),
    ("ru", "Mail.ru",
     "-------- Пересылаемое сообщение -------- | От кого: {me} | Кому: help@example.com | "
     "Дата: Вторник, 3 марта 2026, 10:04 +03:00 | Тема: Счёт"),
    ("uk", "Thunderbird",
     "-------- Переслане повідомлення -------- | Тема: Рахунок | "
     "Дата: Tue, 3 Mar 2026 10:04:11 +0200 | Від: {me} | Кому: help@example.com"),
    ("tr", "Thunderbird",
     "-------- İletilmiş Mesaj -------- | Konu: Fatura | Tarih: Tue, 3 Mar 2026 10:04:11 +0300 | "
     "Kimden: {me} | Kime: help@example.com"),
    ("sv", "Yahoo",
     "----- Vidarebefordrat meddelande ----- | Från: {me} | Till: help@example.com | "
     "Skickat: tisdag 3 mars 2026 10:04 | Ämne: Faktura"),
    ("da", "Thunderbird",
     "-------- Videresendt meddelelse -------- | Emne: Faktura | "
     "Dato: Tue, 3 Mar 2026 10:04:11 +0100 | Fra: {me} | Til: help@example.com"),
    ("no", "Apple Mail",
     "Videresendt melding: |  | Fra: {me} | Emne: Faktura | Dato: 3. mars 2026 kl. 10:04:11 CET | "
     "Til: help@example.com"),
    ("fi", "Apple Mail",
     "Välitetty viesti alkaa: |  | Lähettäjä: {me} | Aihe: Lasku | "
     "Päivämäärä: 3. maaliskuuta 2026 klo 10.04.11 | Vastaanottaja: help@example.com"),
    ("cs", "Thunderbird",
     "-------- Přeposlaná zpráva -------- | Předmět: Faktura | "
     "Datum: Tue, 3 Mar 2026 10:04:11 +0100 | Od: {me} | Komu: help@example.com"),
    ("hu", "Thunderbird",
     "-------- Továbbított üzenet -------- | Tárgy: Számla | Dátum: Tue, 3 Mar 2026 10:04:11 +0100 | "
     "Feladó: {me} | Címzett: help@example.com"),
    ("ro", "Yahoo",
     "----- Mesaj redirecționat ----- | De la: {me} | Către: help@example.com | "
     "Trimis: marți, 3 martie 2026 10:04 | Subiect: Factura"),
    ("el", "Thunderbird",
     "-------- Προωθημένο μήνυμα -------- | Θέμα: Τιμολόγιο | "
     "Ημερομηνία: Tue, 3 Mar 2026 10:04:11 +0200 | Από: {me} | Προς: help@example.com"),
    ("zh-hans", "Foxmail",
     "-------- 转发的消息 -------- | 主题: 发票 | 日期: Tue, 3 Mar 2026 10:04:11 +0800 | "
     "发件人: {me} | 收件人: help@example.com"),
    ("zh-hant", "Thunderbird",
     "-------- 轉寄郵件 -------- | 主旨: 發票 | 日期: Tue, 3 Mar 2026 10:04:11 +0800 | 寄件者: {me} | "
     "收件者: help@example.com"),
    ("ja", "Thunderbird",
     "-------- 転送メッセージ -------- | 件名: 請求書 | 日付: Tue, 3 Mar 2026 10:04:11 +0900 | "
     "差出人: {me} | 宛先: help@example.com"),
    ("ko", "Thunderbird",
     "-------- 전달된 메시지 -------- | 제목: 청구서 | 날짜: Tue, 3 Mar 2026 10:04:11 +0900 | "
     "보낸사람: {me} | 받는사람: help@example.com"),
    ("vi", "Gmail",
     "---------- Forwarded message --------- | Từ: {me} | Date: Th 3, 3 thg 3, 2026 vào lúc 10:04 | "
     "Subject: Hóa đơn | To: <help@example.com>"),
]  # fmt: skip

DEVICES = [
    "Sent from my iPhone", "Sent from my iPad", "Sent from my Galaxy", "Sent from my BlackBerry 10 smartphone.",
    "Sent from my Verizon Wireless 4G LTE smartphone", "Sent from Outlook for iOS", "Sent from Outlook for Android",
    "Get Outlook for iOS<https://aka.ms/o0ukef>", "Get Outlook for Android <https://aka.ms/AAb9ysg>",
    "Sent from Yahoo Mail on Android", "Sent from Mail for Windows", "Sent from Mail for Windows 10",
    "Sent with Proton Mail secure email.", "Sent via the Samsung Galaxy S24, an AT&T 5G smartphone",
    "Sent from my mobile device", "Sent from my Android device with K-9 Mail. Please excuse my brevity.",
    "(sent from my phone)", "<<sent by galaxy>>", "Sent from a tin can with a very long piece of string",
    "Von meinem iPhone gesendet", "Von meinem iPad gesendet", "Gesendet von Outlook für iOS",
    "Gesendet von meinem Samsung Galaxy Smartphone.", "Gesendet mit der GMX Mail App",
    "Diese Nachricht wurde von meinem Android-Gerät mit K-9 Mail gesendet.", "Gesendet von Mail für Windows",
    "Envoyé de mon iPhone", "Envoyé depuis mon iPhone", "Envoyé de mon appareil mobile Samsung",
    "Envoyé à partir de Outlook pour iOS", "Envoyé depuis mon mobile Orange", "Télécharger Outlook pour Android",
    "Enviado desde mi iPhone", "Enviado desde Outlook para Android", "Obtener Outlook para iOS",
    "Enviado desde mi dispositivo Samsung", "Enviado do meu iPhone", "Enviado do Yahoo Mail no Android",
    "Obter o Outlook para Android", "Inviato da iPhone", "Inviato dal mio dispositivo Samsung",
    "Ottieni Outlook per iOS", "Verstuurd vanaf mijn iPhone", "Verzonden vanaf mijn Samsung-apparaat met Outlook",
    "Verzonden vanuit Outlook voor Android", "Outlook voor iOS downloaden", "Wysłane z iPhone'a",
    "Wysłane z mojego urządzenia z Android", "Pobierz Outlook dla systemu iOS",
    "Отправлено с iPhone", "Отправлено из мобильной Почты Mail.ru", "Отправлено с устройства Samsung",
    "Надіслано з iPhone", "Відправлено з мого телефону", "iPhone'umdan gönderildi", "iPad'imden gönderildi",
    "Skickat från min iPhone", "Hämta Outlook för iOS", "Sendt fra min iPhone", "Hent Outlook til iOS",
    "Lähetetty iPhonesta", "Hanki Outlook for iOS", "Odesláno z iPhonu", "Odoslané z iPhonu", "iPhone-ról küldve",
    "Trimis de pe iPhone-ul meu", "Στάλθηκε από το iPhone μου",
    "发自我的iPhone", "发自我的 iPhone", "从我的 iPhone 发送", "發自我的 iPhone", "從我的 iPhone 傳送",
    "获取适用于 iOS 的 Outlook", "iPhoneから送信", "iPadから送信", "나의 iPhone에서 보냄", "내 iPhone에서 보냄",
    "Đã gửi từ iPhone của tôi", "Dikirim dari iPhone saya", "मेरे iPhone से भेजा गया", "أُرسلت من الـ iPhone",
    "נשלח מה-iPhone שלי",
]  # fmt: skip

SENTENCES = [
    "Sent from my desk, is much easier than my mobile phone.", "Sent from my office I can see both phones",
    "Sent from my phone the form works but from my laptop it is empty.", "The mail was sent from my iPhone yesterday.",
    "Von meinem Kollegen habe ich gehört, dass es geht", "Mail gesendet.", "Envoyé par courrier ce matin",
    "Enviado ayer por correo certificado", "Lähetetty eilen", "Отправлено вчера", "发自内心的感谢", "下载邮件失败",
    "내 메일이 안 와요", "从我的手机无法登录", "E-posta gönderildi.", "メールで送信", "Inviato ieri", "My iPhone",
]  # fmt: skip


def _named(rows):
    """The rows as parameters; in the tables " | " stands for a line end, and names are short."""
    known = {"{me}": "Dana Reyes <dana@example.com>", "{help}": "Help <help@example.com>", " | ": "\n"}
    named = []
    for language, client, text in rows:
        for short, written in known.items():
            text = text.replace(short, written)
        named.append(pytest.param(text, id=f"{language}, {client}"))
    return named


def _quoted(text):
    return "\n".join(f"> {line}" for line in text.split("\n"))


def test_the_table_covers_the_languages_and_the_clients():
    assert len({language for language, _, _ in ATTRIBUTIONS}) >= 30
    assert len({language for language, _, _ in HEADERS}) >= 25
    assert {language for language, _, _ in ATTRIBUTIONS} - {"sr", "xx"} <= {one.code for one in languages.LANGUAGES}


@pytest.mark.parametrize("attribution", _named(ATTRIBUTIONS))
def test_an_attribution_and_its_quotation_are_folded(attribution):
    for gap in ("\n", "\n\n"):
        message = f"{ANSWER}\n\n{attribution}{gap}{_quoted(_BODY)}\n"
        folded = fold(message)
        assert folded.text == ANSWER
        assert folded.folded_text == f"{attribution}{gap}{_quoted(_BODY)}"


@pytest.mark.parametrize("attribution", _named(ATTRIBUTIONS))
def test_an_attribution_directly_under_the_answer_takes_nothing_of_it(attribution):
    folded = fold(f"{ANSWER}\n{attribution}\n{_quoted(_BODY)}")
    assert folded.text == ANSWER


@pytest.mark.parametrize("headers", _named(HEADERS))
def test_a_block_of_headers_and_all_below_it_is_folded(headers):
    folded = fold(f"{ANSWER}\n\n{headers}\n\n{_BODY}\n")
    assert folded.text == ANSWER
    assert folded.folded_text == f"{headers}\n\n{_BODY}"


@pytest.mark.parametrize("headers", _named(row for row in HEADERS if not row[2].startswith("On ")))
def test_the_same_block_is_content_in_a_forward(headers):
    folded = fold(f"Please see below.\n\n{headers}\n\n{_BODY}\n", forwarded=True)
    assert folded.folded_text == ""
    assert folded.text.endswith(_BODY)


@pytest.mark.parametrize("forward", _named(FORWARDS))
@pytest.mark.parametrize("note", ["", "Can you answer this one?\n\n", "FYI\n"])
def test_a_forward_is_shown_with_its_note(forward, note):
    message = f"{note}{forward}\n\n{_BODY}\n\nOn Mon, Mar 2, 2026 at 9:00 AM Kim <kim@example.com> wrote:\n> older"
    assert fold(message).text == message
    assert fold(message).folded_text == ""


@pytest.mark.parametrize("line", DEVICES)
def test_the_signature_of_a_device_is_folded(line):
    for history in ("", "\n\nOn Tue, Mar 3, 2026 at 10:04 AM Dana Reyes <dana@example.com> wrote:\n> Hello"):
        folded = fold(f"{ANSWER}\n\n{line}{history}")
        assert folded.text == ANSWER
        assert folded.folded_text == f"{line}{history}"


@pytest.mark.parametrize("line", SENTENCES)
def test_a_sentence_that_looks_like_one_is_shown(line):
    assert fold(f"{ANSWER}\n\n{line}").text == f"{ANSWER}\n\n{line}"


@pytest.mark.parametrize(
    ("subject", "is_forward"),
    [
        ("Fwd: Invoice", True), ("FW: Invoice", True), ("WG: Rechnung", True), ("TR: Facture", True),
        ("RV: Factura", True), ("I: Fattura", True), ("ENC: Fatura", True), ("PD: Faktura", True),
        ("VB: Faktura", True), ("VS: Faktura", True), ("VL: Lasku", True), ("İLT: Fatura", True), ("转发：发票", True),
        ("轉寄: 發票", True), ("[ext] Fwd: Invoice", True), ("Re: Fwd: Invoice", False), ("Invoice", False),
        ("Trip: Rome", False), ("Idea: folders", False), ("", False),
    ],
)  # fmt: skip
def test_a_subject_says_that_a_message_is_a_forward(subject, is_forward):
    assert languages.is_forward_subject(subject) is is_forward
