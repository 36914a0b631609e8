"""What people read across and what they read downwards: invoices, statements, contents, scripts."""

from tests.support.documents.drawn import pdf, prose, write


def _rows(canvas, rows, columns, y, step=22):
    for number, row in enumerate(rows):
        for x, cell in zip(columns, row, strict=False):
            for line, text in enumerate(cell.split("\n")):
                canvas.drawString(x, y - step * number - 11 * line, text)


def _lines(reader, draw):
    return [line for line in reader.page_text(pdf(draw), 1).text.split("\n") if line]


def test_the_rows_of_an_invoice_are_whole_below_addresses_that_share_their_gaps(reader):
    def draw(canvas):
        write(canvas, ["Invoice date", "3 June 2026", "Number", "INV-0046"], x=360, y=790, step=13)
        write(canvas, ["Harbour Ropes Ltd", "23 Main Street", "Central City", "USA"], 470, 786, 15)
        write(canvas, ["Bayside Wholesale", "4 Quay Road", "Oaktown"], 60, 788, 14)
        rows = [
            ["Description", "Quantity", "Unit price", "Tax", "Amount"],
            ["Project management and\nbranding workshop", "1.00", "250.00", "9.25%", "250.00"],
            ["Ropes", "12.00", "2.50", "9.25%", "30.00"],
        ]
        _rows(canvas, rows, (60, 300, 370, 450, 510), 640, 34)

    lines = _lines(reader, draw)
    assert "Description\tQuantity\tUnit price\tTax\tAmount" in lines
    assert "Project management and\t1.00\t250.00\t9.25%\t250.00" in lines
    assert lines.index("USA") < lines.index("Description\tQuantity\tUnit price\tTax\tAmount")
    assert lines[lines.index("23 Main Street") + 1] == "Central City"


def test_the_figures_of_a_statement_stand_beside_their_lines(reader):
    rows = [
        ["Net profit", "233,512", "201,683"],
        ["Changes in fair value of assets\nmeasured at fair value", "(31,874)", "64,457"],
        ["Remeasurements of plans", "(23,574)", "84,501"],
        ["Share of the income of investments\nby the equity method", "(1,528)", "2,159"],
        ["Comprehensive income", "124,762", "415,954"],
    ]
    lines = _lines(reader, lambda canvas: _rows(canvas, rows, (60, 330, 420), 700, 30))
    heads = ["\t".join([row[0].split("\n")[0], *row[1:]]) for row in rows]
    assert [line for line in lines if "\t" in line] == heads


def test_page_numbers_of_contents_and_line_numbers_of_transcripts_stay_with_their_lines(reader):
    contents = [["1 Introduction", "1"], ["2 Installation", "3"], ["3 The commands", "12"]]

    def draw(canvas):
        _rows(canvas, contents, (60, 520), 780, 24)
        script = prose(20, 4, words=8)
        for number, line in enumerate(script, 1):
            canvas.drawString(60, 660 - 26 * number, str(number))
            canvas.drawString(100 if number % 3 else 140, 660 - 26 * number, line)

    lines = _lines(reader, draw)
    assert lines[:3] == ["\t".join(row) for row in contents]
    assert [line.split()[0] for line in lines[3:]] == [str(number) for number in range(1, 21)]


def test_letters_of_one_width_have_no_columns_between_their_words(reader):
    script = ["to be or not to be or not", "to do as we do or do it as"] * 10

    def draw(canvas):
        canvas.setFont("Courier", 10)
        write(canvas, script, step=24)

    assert _lines(reader, draw) == script
