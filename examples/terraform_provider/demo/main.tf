# Tries all that the provider has: see the documentation in ../main.rs on how to run it.

terraform {
  required_providers {
    notebook = { source = "example.com/trunkline/notebook" }
  }
}

# Where the notes are, if not set here: see NOTEBOOK_PATH.
provider "notebook" {}

variable "title" {
  type    = string
  default = "Crème brûlée"
}

variable "body" {
  type    = string
  default = "Cream, yolks, sugar, vanilla."
}

# How many more notes to write.
variable "more" {
  type    = number
  default = 2
}

resource "notebook_note" "recipe" {
  title  = var.title
  body   = var.body
  tags   = { kind = "recipe", course = "dessert" }
  secret = "a pinch of salt"
  author = { name = "Ada", email = "ada@example.com" }

  reminder {
    at   = "2027-01-31T17:00:00Z"
    text = "Chill before dinner."
  }
}

resource "notebook_note" "more" {
  for_each = toset([for number in range(var.more) : tostring(number)])
  title    = "Note ${each.key}"
  tags     = { kind = "more" }
}

data "notebook_notes" "recipes" {
  tag        = "course"
  depends_on = [notebook_note.recipe]
}

output "slug" {
  value = provider::notebook::slug(notebook_note.recipe.title)
}

output "tags" {
  value = provider::notebook::join_tags(", ", notebook_note.recipe.tags, { kind = "sweet" })
}

output "checksum" {
  value = notebook_note.recipe.checksum
}

output "found" {
  value = [for note in data.notebook_notes.recipes.notes : note.title]
}
